"""What a folder of labelled photos was found to hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ge_det.datasets.picture_decoding import Decoded
from ge_det.datasets.problem import Problem

Coco = dict[str, Any]


@dataclass
class Labelled:
    """Labelled photos, as COCO.

    Args:
        format (str): As the field calls it, such as ``'Pascal VOC'``.
        images (Path): The folder that file names are relative to.
        train (dict): Images, annotations and categories to train on; empty with errors.
        val (dict, optional): Those to measure on, None if the labels know no such set.
        files (dict[str, Path]): Which sets (``'train'``, ``'val'``) are COCO files that are good
            as they are. Defaults to {}.
        notes (list[str]): What was found, a line or two. Defaults to [].
        problems (list[Problem]): Errors, which make the rest worthless, and warnings.
            Defaults to [].
        can_be_left_out (bool): Whether all errors are of labels and pictures that can be left out.
            Defaults to False.
        left_out (list[str]): What is left out because it cannot be used, a line each. Defaults to
            [].
        decoded (dict[Path, Decoded]): Pictures that were decoded for that. Defaults to {}.
    """

    format: str
    images: Path
    train: Coco
    val: Coco | None = None
    files: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    can_be_left_out: bool = False
    left_out: list[str] = field(default_factory=list)
    decoded: dict[Path, Decoded] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return all(problem.level != 'error' for problem in self.problems)
