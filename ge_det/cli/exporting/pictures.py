"""The pictures that a file is checked and its ranges are measured with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ge_det.cli.config_data import DataSet, data_sets
from ge_det.datasets import ContextShapes
from ge_det.datasets.image_files import spread
from ge_det.detecting.detector import PictureDetector
from ge_det.detecting.picture_files import UnreadablePicture, as_colour
from ge_det.errors import UserError, shown
from ge_det.words import counted

CHECKED, MEASURED = 2, 100
"""Pictures that are looked at, at most: of a check at each size, of ranges for eight bits."""


def to_check(
    cfg: Any, detector: PictureDetector, given: Sequence[str] | None
) -> tuple[list[np.ndarray], str]:
    """Pictures to check with, and what they are.

    Args:
        cfg (Config): The config, for its test or validation pictures.
        detector (PictureDetector): Reads them.
        given (Sequence[str], optional): Files of ``--check``; None is the config's, or drawn ones
            where these are not here.

    Raises:
        UserError: If one cannot be read.
    """
    files = spread(_of_config(cfg) if given is None else given, CHECKED)
    if not files:
        drawn = ContextShapes(image_size=(320, 240))
        some = [drawn.draw('val', index).image[..., ::-1] for index in range(CHECKED)]
        return some, 'drawn pictures, for there are none here (--check IMAGES takes yours)'
    source = "the config's data" if given is None else '--check'
    return list(read(detector, files)), f'{counted(len(files), "picture")} of {source}'


def to_measure(detector: PictureDetector, given: Sequence[str]) -> list[str]:
    """The pictures of ``--int8``, evenly spread if they are many.

    Raises:
        UserError: If one cannot be read.
    """
    files = spread(given, MEASURED)
    for _ in read(detector, files):  # Now, not after minutes of export.
        pass
    return files


def read(detector: PictureDetector, files: Sequence[str]) -> Iterator[np.ndarray]:
    """Pictures (H, W, 3) of ``uint8``, BGR.

    Raises:
        UserError: If one cannot be read.
    """
    for file in files:
        try:
            yield as_colour(detector.read(Path(file))['img'])
        except UnreadablePicture as error:
            raise UserError(
                f'{shown(file)}: no picture that can be read ({error}); leave it out'
            ) from error


def labelled(cfg: Any) -> list[DataSet]:
    """The config's test sets, if annotations and pictures are here."""
    sets = list(chain.from_iterable(data_sets(cfg, 'test').values()))
    is_there = all(
        one.annotations is not None and one.annotations.is_file() and _pictures(one) for one in sets
    )
    return sets if is_there and cfg.get('test_evaluator') else []


def _of_config(cfg: Any) -> list[str]:
    loaders = data_sets(cfg, 'test') | data_sets(cfg, 'train')
    loaders.pop('train_dataloader', None)
    found = ([file for one in sets for file in _pictures(one)] for sets in loaders.values())
    return next(filter(None, found), [])


def _pictures(one: DataSet) -> list[str]:
    """Those that are there, of some of the set."""
    files = [one.images / name for name in spread(one.picture_names, 4 * CHECKED)]
    return [str(file) for file in files if file.is_file()]
