"""The report of a training: a page and its pictures, in the folder ``report`` of its work dir."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ge_det.files import write_whole
from ge_det.locks import only_one
from ge_det.report import bars, curves, matrix, page
from ge_det.report.confusion import confusion
from ge_det.report.detections import val_detections
from ge_det.report.essentials import essentials
from ge_det.report.figures import drawable
from ge_det.report.history import History, read_history
from ge_det.report.kinds import KINDS, errors_by_kind
from ge_det.report.pictures import Drawing, Outcome, best_and_worst, outcomes
from ge_det.report.precision import Precision
from ge_det.report.sentences import sentences
from ge_det.report.source import Source
from ge_det.times import duration
from ge_det.words import counted_are

PAGE = 'index.html'

Commands = Callable[[float], Sequence[tuple[str, str]]]


def write_report(source: Source, commands: Commands | None = None) -> Path:
    """Write the report of a training.

    Args:
        source (Source): The training and its data.
        commands (callable, optional): Gives what one can do next, and the command for it, for the
            score from which on detections are best shown. Defaults to None: nothing.

    Returns:
        Path: The page.

    Raises:
        UserError: If the val set does not fit the detector, or another report is being written.
    """
    busy = f'{source.work_dir}: another report of it is being written; wait for its end'
    with only_one(source.work_dir / '.report.lock', busy):
        return _report(source, commands)


def _report(source: Source, commands: Commands | None) -> Path:
    found = val_detections(source)
    precision = Precision(source, found)
    with_masks = bool((source.config.model.get('roi_head') or {}).get('mask_head'))
    masks = Precision(source, found, 'segm') if with_masks else None
    history = read_history(source.work_dir)
    measured = _measured(source)
    counts = confusion(precision, precision.score)
    kinds = errors_by_kind(precision)
    photos, notes = _photos(source, found, precision)
    images = _figures(source, history, measured, precision, counts, kinds)
    values = dict(
        title=source.work_dir.absolute().name,
        subtitle=f'{source.work_dir.absolute()}, {datetime.now():%Y-%m-%d %H:%M}',
        tiles=_tiles(precision, masks, history, measured),
        sentences=sentences(precision, history, kinds, counts, measured),
        classes=precision.classes,
        numbered=any(name.startswith('#') for name in drawable(source.classes)),
        masks=masks,
        confusion=counts,
        kinds=kinds,
        meanings=KINDS,
        sizes=precision.sizes,
        photos=photos,
        score=precision.score,
        notes=notes,
        essentials=essentials(source, history),
        commands=commands(precision.score) if commands else [],
        **{name: images.get(name) for name in ('curves', 'matrix', 'kinds_bars', 'recall')},
    )  # fmt: skip
    return _write(source.folder, values, [*images.values(), *photos[0][1], *photos[1][1]])


def _write(folder: Path, values: dict[str, Any], images: Sequence[page.Image]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {one.file for one in images}
    # Of another report, in which other pictures were best; without photos, it may be the last.
    for old in [] if values['notes'] else folder.glob('*.jpg'):
        if re.fullmatch(r'(best|worst)_\d\.jpg', old.name) and old.name not in wanted:
            old.unlink(missing_ok=True)
    for one in images:
        write_whole(folder / one.file, one.content)
    write_whole(folder / PAGE, page.render(values))
    return folder / PAGE


def _measured(source: Source) -> int | None:
    """The epoch or iteration of the checkpoint, as its name tells."""
    number = re.search(r'(?:epoch|iter)_(\d+)\.pth$', source.checkpoint.name)
    return int(number[1]) if number else None


def _figures(
    source: Source,
    history: History,
    measured: int | None,
    precision: Precision,
    counts: Any,
    kinds: Any,
) -> dict[str, page.Image]:
    images = {'classes': page.Image('classes.png', bars.class_bars(precision.classes), 'AP')}
    if history.train:
        name = 'best' if source.is_best else 'measured'
        content = curves.learning_curves(history, measured, name)
        images['curves'] = page.Image('curves.png', content, 'Loss, AP and learning rate')
    if counts.counts.any():
        content = matrix.confusion_matrix(counts)
        images['matrix'] = page.Image('confusion.png', content, 'Confusion matrix')
    if kinds:
        content = bars.kind_bars(kinds)
        images['kinds_bars'] = page.Image('errors.png', content, 'AP50 lost by errors of each kind')
    if any(one.ap is not None for one in precision.classes):
        content = curves.precision_recall(precision.classes)
        images['recall'] = page.Image('precision_recall.png', content, 'Precision against recall')
    return images


def _photos(
    source: Source, found: list[dict[str, Any]], precision: Precision
) -> tuple[list[tuple[str, list[page.Image]]], list[str]]:
    """Headings with pictures, and a note on those that are not there."""
    drawing = Drawing(source, found, precision.score)
    told, gone = [], 0
    kinds = zip(('best', 'worst'), best_and_worst(outcomes(precision)), strict=True)
    for kind, shown in kinds:
        images = []
        for number, one in enumerate(shown, start=1):
            if (content := drawing.pair(one)) is None:
                gone += 1
                continue
            file = f'{kind}_{number}.jpg'
            images.append(page.Image(file, content, f'{one.name}, drawn', _caption(one)))
        told.append((f'Photos that went {kind}', images))
    if not gone:
        return told, []
    return told, [f'{counted_are(gone, "photo")} not shown, no more in {source.images}.']


def _caption(one: Outcome) -> str:
    return f'{one.name}: {one.right} right, {one.missed} missed, {one.wrong} wrong'


def _tiles(
    precision: Precision, masks: Precision | None, history: History, measured: int | None
) -> list[tuple[str, str]]:
    tiles = [(name, _figure(value)) for name, value in precision.overall.items()]
    if masks is not None:
        tiles.append(('AP of masks', _figure(masks.overall['AP'])))
    if measured is not None:
        unit = history.unit
        name = f'best {unit}' if precision.source.is_best else f'{unit} measured'
        tiles.append((name, str(measured)))
    tiles.append(('val photos', f'{len(precision.source.truth.imgs):,}'))
    if history.seconds:
        tiles.append(('training took', duration(history.seconds)))
    return tiles


def _figure(value: float | None) -> str:
    return '–' if value is None else f'{value:.1f}'
