"""Try a config on some of the photos before it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from ge_det.config_writer.options import UserConfig
from ge_det.config_writer.text import config_text
from ge_det.datasets.coco_file import CocoFile, write_copy
from ge_det.datasets.image_files import spread
from ge_det.errors import UserError, one_line

from .measure import Pace, measure

_TRAIN, _VAL = 64, 24  # Pictures; those of a large set need not all be read.


@contextmanager
def trials(train: CocoFile, val: CocoFile) -> Iterator[Callable[[UserConfig], Pace]]:
    """What measures a config with pictures of these sets, in a folder that is gone afterwards."""
    try:
        with TemporaryDirectory(prefix='ge_det-') as name:
            folder = Path(name)
            sets = dict(train_json=folder / 'train.json', val_json=folder / 'val.json')

            def pace(options: UserConfig) -> Pace:
                if not sets['val_json'].exists():  # Not before it is asked for.
                    write_copy(_part(train, _TRAIN, with_boxes=True), sets['train_json'])
                    write_copy(_part(val, _VAL, with_boxes=False), sets['val_json'])
                paths: dict[str, Any] = {key: str(path) for key, path in sets.items()}
                config = folder / 'trial.py'
                config.write_text(config_text(replace(options, **paths)), encoding='utf-8')
                return measure(config)

            yield pace
    except UserError as error:
        if isinstance(error.__cause__, OSError):
            told = one_line(error.__cause__)
            raise UserError(
                f'no room to try a training in {gettempdir()} ({told}); make room, name another '
                'folder as TMPDIR, or give --epochs, and nothing is tried'
            ) from error
        raise


def with_workers_or_without(pace: Callable[[UserConfig], Pace]) -> Callable[[UserConfig], Pace]:
    """The same, but alone where other processes cannot load pictures, as with a small /dev/shm.

    Args:
        pace (Callable[[UserConfig], Pace]): Measures a config.
    """
    import torch

    def either(options: UserConfig) -> Pace:
        if options.workers == 0:
            return pace(options)
        try:
            return pace(options)
        except torch.OutOfMemoryError:  # Of the GPU, which no worker uses.
            raise
        except (RuntimeError, OSError):  # If it was something else, it comes again.
            return replace(pace(replace(options, workers=0)), only_alone=True)

    return either


def _part(coco: CocoFile, most: int, with_boxes: bool) -> CocoFile:
    """Some pictures of a set, evenly spread, and what is on them."""
    images = coco.images
    if with_boxes:
        there = {one['image_id'] for one in coco.annotations}
        images = [image for image in images if image['id'] in there]
    images = spread(images, most)
    kept = {image['id'] for image in images}
    found = [one for one in coco.annotations if one['image_id'] in kept]
    return CocoFile(coco.path, images, found, coco.categories)
