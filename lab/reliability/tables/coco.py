"""COCO files that went bad, by the rule of the check."""

from __future__ import annotations

import random
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from ge_det.datasets.coco_check import check_coco

from ..coco_mutations import MUTATIONS, to_bytes
from ..coco_rule import broken_rule
from ..parallel import in_parallel
from ..place import Place
from ..table import Table
from ..trial import ACCEPTED, attempt, fresh

ABOUT = (
    'Good files, each spoilt in one way, as train set and as val set, with masks. The check must '
    "refuse it in a line a problem, or pass or mend it; then mmdet's pipeline reads all of it, and "
    'perfect detections score 1.0 (where a warning says that something cannot be found, less).'
)
_KINDS = ('images', 'annotations', 'categories', 'box', 'mask', 'image ids', 'category ids')


def run(place: Place, jobs: int) -> Table:
    """Spoil the files in every way."""
    folder = fresh(place.tries / 'coco')
    _draw(folder)
    tasks = [(folder, name, side) for name in sorted(MUTATIONS) for side in ('train', 'val')]
    outcomes = in_parallel(_outcome, tasks, jobs)
    table = Table('COCO files', ABOUT, ['spoilt', 'tried', 'refused', 'passed or mended', 'wrong'])
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (_, name, side), outcome in zip(tasks, outcomes, strict=True):
        known = outcome if outcome in ('refused', 'passed') else 'wrong'
        counts[_kind(name)][known] += 1
        if known == 'wrong':
            table.faults.append(f'{name}, {side}: {outcome}')
    for kind, found in counts.items():
        cells = [found[key] for key in ('refused', 'passed', 'wrong')]
        table.rows.append([kind, *map(str, [sum(cells), *cells])])
    return table


def _kind(name: str) -> str:
    for kind in sorted(_KINDS, key=len, reverse=True):
        if name.startswith(kind):
            return kind
    return 'annotation ids' if name.startswith('annotation ids') else 'the file'


def _good(first: int) -> dict[str, Any]:
    """Two pictures of 40x30, three boxes with masks, two classes."""
    pictures = [first, first + 1]
    annotations = [
        dict(
            id=first + i,
            image_id=first + i % 2,
            category_id=5 + i % 2,
            bbox=[10 * i, 5, 10, 20],
            area=200,
            iscrowd=0,
            segmentation=[[10 * i, 5, 10 * i + 10, 5, 10 * i + 10, 25, 10 * i, 25]],
        )
        for i in range(3)
    ]
    return dict(
        images=[dict(id=i, file_name=f'{i}.png', width=40, height=30) for i in pictures],
        annotations=annotations,
        categories=[dict(id=5, name='cat'), dict(id=6, name='dog')],
    )


def _draw(folder: Path) -> None:
    for name in (1, 2, 11, 12):
        Image.new('RGB', (40, 30)).save(folder / f'{name}.png')


def _outcome(task: tuple[Path, str, str]) -> str:
    images, name, side = task
    folder = fresh(images / f'{sorted(MUTATIONS).index(name)}-{side}')
    trial = attempt(partial(_check, images, folder, name, side), folder)
    if trial.outcome == ACCEPTED:
        return trial.out.strip()
    return f'{trial.outcome}: {trial.last_line}'


def _check(images: Path, folder: Path, name: str, side: str) -> None:
    paths = []
    for role, good in (('train', _good(1)), ('val', _good(11))):
        data = MUTATIONS[name](good, random.Random(name)) if role == side else good
        paths.append(folder / f'{role}.json')
        paths[-1].write_bytes(to_bytes(data))
    train, val = paths
    report = check_coco(train, val, images, images, with_masks=True)
    broken = broken_rule(report, folder, images, with_masks=True)
    print(broken or ('passed' if report.ok else 'refused'))
