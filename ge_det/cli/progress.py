"""Which lines of MMEngine's log tell a user something, and how they look on the screen."""

from __future__ import annotations

import logging
import re

from ge_det.words import counted

# They talk of their own affairs. What others say, such as a user's own module, is shown.
_STACK = frozenset(('site-packages', 'mmengine', 'mmcv', 'mmdet', 'mmpretrain', 'torch'))

_SHOWN = re.compile(
    r"""
    (Epoch|Iter)\((train|val|test)\) | Saving\ checkpoint\ at\ \d+\ iter
    | The\ best\ checkpoint\ (?!with\ \S+\ coco/bbox_mAP\ )  # Whose line says so.
    | Checkpoints\ will\ be\ saved | [Rr]esumed\ (epoch|from) | Auto\ resumed | Load\ checkpoint
    | report:\ | no\ report\ of\ the\ training
    | Did\ not\ find\ last | LR\ is\ set\ based | \n\+- | AttentionResNet: | the\ monitored\ metric
    | .*:\ of\ several\ sets\ of\ weights | the\ checkpoint:\ weights\ under
    """,
    re.VERBOSE,
)
_USUAL = '(no score reaches score_thr of test_cfg), which is usual in the first epochs'
# Of several sets, whose names come before, all figures are shown.
_FIGURE = re.compile(r'(?<!\S)coco/(bbox_mAP|bbox_mAP_50|segm_mAP): (\S+)')
_NAMES = {'bbox_mAP': 'AP', 'bbox_mAP_50': 'AP50', 'segm_mAP': 'AP of masks'}
_KEPT = ('lr', 'eta', 'time', 'memory', 'loss', 'grad_norm')  # Of a line of training.


def is_progress(record: logging.LogRecord, with_tables: bool = True) -> bool:
    """Whether a record is for the screen, where mmdet's table of the classes may be too much."""
    if record.levelno >= logging.ERROR or _STACK.isdisjoint(record.pathname.split('/')):
        return True
    message = record.getMessage()
    is_table = message.startswith('\n+-')
    return _SHOWN.match(message) is not None and (with_tables or not is_table)


class ProgressLines(logging.Formatter):
    """A line without time of day, logger and level, and of the losses only their sum.

    A validation of a detector is one line, with AP in percent and the best so far.
    """

    _best: float | None = None

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        message = record.getMessage()
        if message.startswith('The testing results of the whole dataset is empty'):
            return f'nothing is detected in the whole set {_USUAL}; its AP is 0'
        if record.levelno >= logging.WARNING:
            return f'{record.levelname.lower()}: {message}'
        if message.startswith('Checkpoints will be saved to'):
            return f'{_length()}\n{message}'
        if re.match(r'(Epoch|Iter)\(train\)', message):
            return _shorten(message)
        if re.match(r'(Epoch|Iter)\(val\)', message) and (figures := _FIGURE.findall(message)):
            return self._validation(message[: message.rindex(']') + 1], dict(figures))
        if re.match(r'(Epoch|Iter)\((val|test)\)', message):
            return re.sub(r'  +(data_)?time: \S+', '', message)
        return message.strip('\n')

    def _validation(self, head: str, figures: dict[str, str]) -> str:
        values = {name: 100 * float(figures[key]) for key, name in _NAMES.items() if key in figures}
        told = [f'{name} {value:.1f}' for name, value in values.items() if value >= 0]
        if (precision := values.get('AP')) is not None:
            before = (_best_before() or 0.0) if self._best is None else self._best
            self._best = max(before, precision)  # In this order, NaN is not the best.
            if self._best < 0.05:
                pass  # Shown as 0.0: the best of nothing.
            elif precision > before:
                told.append('the best so far')
            else:
                told.append(f'best so far {before:.1f}')
        return '  '.join([head, *told])


def _best_before() -> float | None:
    """The best AP of the sessions before a resumed one, in percent."""
    from mmengine.logging import MessageHub

    info = MessageHub.get_current_instance().runtime_info
    is_precision = 'bbox_mAP_epoch' in str(info.get('best_ckpt'))
    return 100 * float(info['best_score']) if is_precision and 'best_score' in info else None


def _shorten(message: str) -> str:
    head = message[: message.rindex(']') + 1]
    fields = re.findall(r'(\S+): (\S+(?: days?, \S+)?)', message[len(head) :])
    kept = {name: f'{name} {value}' for name, value in fields if name in _KEPT}
    if 'time' in kept:
        kept['time'] = f'{float(kept["time"].split()[1]):.3g} s/iter'
    return '  '.join([head, *kept.values()])


def _length() -> str:
    """How long the training is, as MMEngine has counted it."""
    from mmengine.logging import MessageHub

    hub = MessageHub.get_current_instance()
    iterations, epochs = (hub.runtime_info.get(name) for name in ('max_iters', 'max_epochs'))
    many = f'{counted(epochs, "epoch")}, ' if epochs and epochs > 1 else ''
    return f'length:  {many}{counted(iterations, "iteration")}'
