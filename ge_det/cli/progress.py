"""Which lines of MMEngine's log tell a user something, and how they look on the screen."""

from __future__ import annotations

import logging
import os
import re

# They talk of their own affairs. What others say, such as a user's own module, is shown.
_STACK = ('mmengine', 'mmcv', 'mmdet', 'mmpretrain', 'torch')

_SHOWN = re.compile(
    r"""
    (Epoch|Iter)\((train|val|test)\) | Saving\ checkpoint | The\ (best\ checkpoint|previous\ best)
    | Checkpoints\ will\ be\ saved | [Rr]esumed\ (epoch|from) | Auto\ resumed | Load\ checkpoint
    | Did\ not\ find\ last | LR\ is\ set\ based | \n\+- | AttentionResNet: | the\ monitored\ metric
    | .*:\ of\ several\ sets\ of\ weights
    """,
    re.VERBOSE,
)
_USUAL = '(no score reaches score_thr of test_cfg), which is usual in the first epochs'
_KEPT = ('lr', 'eta', 'time', 'memory', 'loss', 'grad_norm')  # Of a line of training.


def is_progress(record: logging.LogRecord) -> bool:
    """Whether a record is for the screen."""
    if record.levelno >= logging.ERROR:
        return True
    parts = record.pathname.replace('\\', '/').split('/')
    is_of_stack = 'site-packages' in parts or any(name in parts for name in _STACK)
    message = record.getMessage()
    if is_of_stack or record.pathname.endswith(os.path.join('mmengine', 'logging', 'logger.py')):
        return _SHOWN.match(message) is not None
    return True


class ProgressLines(logging.Formatter):
    """A line without time of day, logger and level, and of the losses only their sum."""

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
        if re.match(r'(Epoch|Iter)\((val|test)\)', message):
            return re.sub(r'  +(data_)?time: \S+', '', message)
        return message.strip('\n')


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
    many = f'{epochs} epochs, ' if epochs and epochs > 1 else ''
    return f'length:  {many}{iterations} iterations'
