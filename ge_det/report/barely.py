"""Whether a training is too short for its errors to say anything but that."""

from __future__ import annotations

import math

from ge_det.report.history import History
from ge_det.report.precision import Precision
from ge_det.words import counted

_LEARNT = 10.0  # AP50 below which there is nothing to tell errors apart of.
_GOOD = 50.0  # AP50 from which on they tell something, however short the training was.
_SHORT = 1000  # Iterations that leave a detector at its beginning, if AP still rises.
_ENOUGH = 2000, 12  # Iterations and epochs to try then.


def barely_trained(precision: Precision, history: History) -> str:
    """What to do about a detector that has hardly learnt anything; '' if it has.

    Its boxes fit badly and its classes are weak for want of training, so the kinds of its errors do
    not tell of the labels.
    """
    ap50 = precision.overall['AP50']
    if ap50 is None or ap50 >= _GOOD or (ap50 >= _LEARNT and not history.train):
        return ''
    steps = history.train[-1]['step'] if history.train else 0
    values = [value for _, value in history.precision()]
    rises = not values or 0 < max(values) == values[-1]
    if ap50 >= _LEARNT and not (steps < _SHORT and rises):
        return ''
    length = _length(history)
    after = f' after {length}' if length else ''
    if steps >= _SHORT and not rises:
        return (
            f'Hardly anything is learnt{after}, and AP does not rise: look at the learning rate, '
            'and at the classes and boxes of the annotations.'
        )
    if ap50 < _LEARNT:
        head = f'Hardly anything is learnt yet{after}'
    elif len(values) > 1:
        head = f'AP still rises{after}'
    else:
        head = f'Trained for {length} only'
    return f'{head}: train longer before you judge anything else. {_how(precision, history)}'


def _length(history: History) -> str:
    if not history.train:
        return ''
    return counted(history.train[-1].get('epoch' if history.by_epoch else 'step', 0), history.unit)


def _how(precision: Precision, history: History) -> str:
    config = precision.source.config or {}
    wanted = (config.get('train_cfg') or {}).get('max_epochs') or 0
    done = history.train[-1].get('epoch', 0) if history.train else 0
    if history.train and done < wanted:
        return f'It was stopped before epoch {wanted}; --resume goes on (see the commands below).'
    iterations, epochs = _ENOUGH
    if done:
        each = history.train[-1]['step'] / history.train_places()[-1]
        epochs = min(max(epochs, 2 * done, math.ceil(iterations / each)), 300)
    return f'Such a config: ge-det make-config PHOTOS --epochs {epochs} --out longer.py'
