"""What a report says in plain words, and what that suggests to do."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from ge_det.report.barely import barely_trained
from ge_det.report.confusion import Confusion
from ge_det.report.history import History
from ge_det.report.kinds import Kind
from ge_det.report.precision import ClassPrecision, Precision
from ge_det.words import counted

FEW_BOXES = 50
"""Boxes to train on, below which a class is said to have few."""

_FEW_TO_MEASURE = 100  # Boxes of the val set.


def sentences(
    precision: Precision,
    history: History,
    kinds: Sequence[Kind],
    confusion: Confusion,
    measured: int | None,
) -> list[str]:
    """A few sentences, the most important first."""
    told = [_first(precision, measured, history)]
    if not any(len(scores) for scores, _, _ in precision.matches.values()):
        told.append(
            'Nothing is detected in the whole val set. That is usual in the first epochs; after '
            'many, look at the learning rate, and at the classes and boxes of the annotations.'
        )
        return told + _data(precision)
    if barely := barely_trained(precision, history):
        return [barely, *told, *_not_measured(precision)]
    told += _worst(precision.classes, confusion)
    told += _errors(kinds, confusion, precision)
    told += _course(history, precision.source.is_best)
    return told + _data(precision)


def _first(precision: Precision, measured: int | None, history: History) -> str:
    figures = precision.overall
    pictures = counted(len(precision.source.truth.getImgIds()), 'photo')
    if figures['AP'] is None:
        return f'The val set of {pictures} has no box, so there is nothing to measure.'
    where = f' after {history.unit} {measured}' if measured is not None else ''
    own = precision.source.annotations in precision.source.train_annotations
    which = 'that it was trained on, which says nothing of new ones' if own else 'of the val set'
    return f'AP {figures["AP"]:.1f}, AP50 {figures["AP50"]:.1f}{where}, on {pictures} {which}.'


def _worst(classes: Sequence[ClassPrecision], confusion: Confusion) -> list[str]:
    known = [one for one in classes if one.ap is not None]
    if len(known) < 2:
        return []
    worst, best = (choose(known, key=lambda one: one.ap or 0.0) for choose in (min, max))
    line = (
        f'Worst class: {worst.name} with AP {worst.ap:.1f}; best: {best.name} with {best.ap:.1f}.'
    )
    row = confusion.counts[worst.number - 1]
    if row[-1] > row.sum() / 3:
        are = 'is' if row[-1] == 1 else 'are'
        line += f' Of {_boxes(row.sum())} of {worst.name}, {row[-1]} {are} missed.'
    counts = [one.train_boxes for one in classes if one.train_boxes is not None]
    if worst.train_boxes is not None and worst.train_boxes < max(FEW_BOXES, median(counts) / 4):
        line += f' {worst.name} was trained on {_boxes(worst.train_boxes)}: label more.'
    return [line]


def _errors(kinds: Sequence[Kind], confusion: Confusion, precision: Precision) -> list[str]:
    most = max(kinds, key=lambda one: one.lost, default=None)
    if most is None or most.lost < 0.5:
        return []
    line = f'Most is lost by {_NAMES[most.name]} ({most.lost:.0f} points of AP50): '
    if most.name == 'class' and (pairs := confusion.largest(1)):
        true, taken, count, total = pairs[0]
        are = 'is' if count == 1 else 'are'
        return [line + f'{count} of {total} {true} {are} taken for {taken}. See whether both are '
                'labelled alike everywhere, and label more of them.']  # fmt: skip
    if most.name == 'missed':
        aps = {name: ap for name, _, ap, boxes in precision.sizes if boxes}
        small, large = aps.get('small'), aps.get('large')
        if small is not None and large is not None and small < large / 2:
            return [line + 'small ones most; larger pictures (--scale) show more of them.']
    return [line + _ADVICE[most.name]]


_NAMES = {
    'class': 'wrong classes',
    'localisation': 'boxes that do not fit',
    'both': 'wrong classes in boxes that do not fit',
    'duplicate': 'objects found twice',
    'background': 'detections where nothing is labelled',
    'missed': 'missed objects',
}
_ADVICE = {
    'class': 'see whether the classes are labelled alike everywhere, and label more photos.',
    'localisation': 'see whether the labelled boxes are tight; larger pictures may help.',
    'both': 'train longer, or label more photos.',
    'duplicate': 'a lower iou_threshold of nms in model.test_cfg drops more of them.',
    'background': (
        'see whether some objects are not labelled; if all are, label more photos in which things '
        'that are taken for objects are seen beside real ones.'
    ),
    'missed': 'train longer, or label more photos like those at the end of this page.',
}


def _course(history: History, is_best: bool) -> list[str]:
    """Whether AP still rises, or falls while the loss does, too."""
    points = history.precision()
    if len(points) < 3:
        return []
    values = [value for _, value in points]
    best, last = max(values), values[-1]
    place = values.index(best)
    rise = last - values[-1 - max(1, len(values) // 4)]
    if last == best and rise > max(0.5, 0.03 * best):
        return ['AP was still rising at the end: train longer.']
    losses = [one['loss'] for one in history.train]
    share = (place + 1) / len(values)
    at_best = losses[max(0, round(share * len(losses)) - max(1, len(losses) // 10)) :]
    window = max(1, len(losses) // 10)
    fell = losses and median(losses[-window:]) < 0.97 * median(at_best[:window])
    if len(values) - 1 - place >= 2 and last < 0.9 * best and best - last > 1 and fell:
        return [
            f'AP fell from {best:.1f} to {last:.1f} while the loss in training went on falling: it '
            f'learns the photos by heart. {_BEST if is_best else _LAST}'
        ]
    return []


_BEST = 'This is the best epoch; to get further, label more photos.'
_LAST = 'Train fewer epochs, and let save_best of the CheckpointHook keep the best one.'


def _data(precision: Precision) -> list[str]:
    told = []
    few = [one for one in precision.classes
           if one.train_boxes is not None and one.train_boxes < FEW_BOXES]  # fmt: skip
    if few:
        names = ', '.join(f'{one.name} ({one.train_boxes})' for one in few[:5])
        more = f' and {len(few) - 5} more' if len(few) > 5 else ''
        told.append(f'Few boxes to train on: {names}{more}. Label more of them.')
    return told + _not_measured(precision)


def _not_measured(precision: Precision) -> list[str]:
    told = []
    unknown = [one.name for one in precision.classes if not one.val_boxes]
    boxes = sum(one.val_boxes for one in precision.classes)
    if unknown and boxes:
        more = f' and {len(unknown) - 5} more' if len(unknown) > 5 else ''
        told.append(
            f'Without a box in the val set, so not measured: {", ".join(unknown[:5])}{more}.'
        )
    if 0 < boxes < _FEW_TO_MEASURE:
        told.append(f'The val set has only {_boxes(boxes)}: differences of some points are noise.')
    return told


def _boxes(count: int) -> str:
    return counted(count, 'box')
