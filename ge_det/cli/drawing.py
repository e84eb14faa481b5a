"""Draw pictures one after another: what is done stays done, and a bad one stops nothing."""

from __future__ import annotations

import argparse
import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ge_det.cli.checks import shown
from ge_det.cli.drawn_files import Picture
from ge_det.errors import UserError, one_line
from ge_det.files import to_json, write_whole

if TYPE_CHECKING:
    from ge_det.cli.detecting import PictureDetector


class _UnfitName(Exception):
    """A name that the folder for the pictures does not take."""


@dataclass
class Tally:
    """What became of the pictures.

    Args:
        drawn (int): Pictures that are written.
        detections (int): Detections drawn into them.
        best (float): The highest score of any detection, drawn or not.
        skipped (list): Pictures that are not written, and why.
    """

    drawn: int = 0
    detections: int = 0
    best: float = 0.0
    skipped: list[tuple[Picture, str]] = field(default_factory=list)

    def summary(self, out: str, threshold: float) -> str:
        """One line for the user."""
        line = f'{out}: {self.drawn} images, {self.detections} detections over {threshold} drawn'
        if self.drawn and not self.detections:
            line += f'; {self._no_detections()}'
        if self.skipped:
            line += f'; {len(self.skipped)} images skipped'
        return line

    def _no_detections(self) -> str:
        if not self.best:
            return 'the detector gives none; score_thr of its test_cfg leaves out low scores'
        return f'the highest score is {self.best:.2g}, and --score-thr lowers the limit'


def draw_all(
    detector: PictureDetector, pictures: Sequence[Picture], args: argparse.Namespace
) -> Tally:
    """Detect in each picture, draw what is found, and write it at once.

    Args:
        detector (PictureDetector): What detects and draws.
        pictures (Sequence[Picture]): Pictures and where they go.
        args (argparse.Namespace): ``score_thr``, ``json``, ``overwrite`` and ``resume`` of
            the command.

    Raises:
        UserError: If a file cannot be written.
        Exception: What the detector raised, if it did so in every picture that was read.
    """
    from tqdm import tqdm  # type: ignore[import-untyped]

    from ge_det.cli.detecting import UnreadablePicture

    tally, fault = Tally(), None
    for picture in tqdm(pictures, desc='infer', unit='image', disable=None):
        try:
            read = detector.read(picture.source)
        except UnreadablePicture as error:
            tally.skipped.append((picture, str(error)))
            continue
        try:
            content, predictions, scores = _detect(detector, read, picture, args.score_thr)
        except Exception as error:  # Of a model on a picture it cannot take, or of no memory left.
            fault = fault or error
            reason = f'the detector fails on it ({type(error).__name__}: {one_line(error)})'
            tally.skipped.append((picture, reason))
            continue
        try:
            if args.json:
                # Where a run was interrupted, they may be there without their picture.
                again = args.overwrite or args.resume
                _write(picture.predictions, to_json(predictions), again, tally)
            if not (args.resume and os.path.exists(picture.drawn)):  # Without --json, earlier.
                _write(picture.drawn, content, args.overwrite, tally)
        except _UnfitName as error:
            tally.skipped.append((picture, str(error)))
            continue
        tally.drawn += 1
        tally.detections += sum(score > args.score_thr for score in scores)
        tally.best = max([tally.best, *scores])
    if fault is not None and tally.drawn == 0:
        raise fault
    return tally


def _detect(
    detector: PictureDetector, read: dict[str, object], picture: Picture, threshold: float
) -> tuple[bytes, dict[str, object], list[float]]:
    found = detector.detect(read)
    content = detector.draw(read, found, threshold, picture.drawn.suffix.lower())
    predictions = detector.as_dict(found)
    scores: list[float] = predictions.get('scores', [])
    return content, predictions, scores


def _write(path: Path, content: bytes, overwrite: bool, tally: Tally) -> None:
    if os.path.lexists(path) and not overwrite:  # Made by somebody else meanwhile.
        raise UserError(f'{shown(path)} has come up meanwhile; {tally.drawn} images are drawn')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
            raise _UnfitName(f'no file of such a name in --out ({error.strerror})') from error
        raise UserError(
            f'{shown(path)}: cannot be written ({error.strerror or error}); {tally.drawn} images '
            'are drawn'
        ) from error
