"""The small JSON file that a finished cell leaves: all that reports are made from."""

from __future__ import annotations

import dataclasses
import math
import reprlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from ge_det.files import to_json, write_whole

from ..key import CellKey

CLASS = 'class:'
"""What begins the name of the resamples of one class."""

# JSON has no NaN.
Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
Metrics = dict[str, Number]


@dataclass(frozen=True)
class CellResult:
    """What one finished cell found.

    All AP and accuracies are shares, 0 to 1; NaN where the data have no object of that kind.

    Attributes:
        key (CellKey): Which cell.
        fingerprint (str): Hash of its config, how its data are drawn and what is measured.
        config (str): The config it derives from, relative to the root of the project.
        commands (list[str]): What was run.
        metrics (dict): By kind of result (``'bbox'``, ``'segm'``), then group of classes (``'all'``
            and those the matrix names; on a control, ``'GROUP, CONTROL'``), AP, AP50, AP75, APs,
            APm and APl. A classifier has ``'accuracy'`` with the group ``'all'``, ``top1`` in it.
        classes (dict): By kind of result, then class, AP and AP50.
        resamples (dict): By kind of result, then group or ``'class:NAME'``, then metric: its
            values on resamples of the validation images. The draws depend on the images and the
            number of the resample alone, so those of two cells pair.
        curve (dict): By name of a scalar (``'loss'``, ``'bbox AP'``), ``[step, value]`` pairs.
        cost (dict): ``parameters`` in millions and ``gflops`` (multiply-adds) of the network;
            ``gate_parameters`` and ``gate_gflops`` are the part of the blocks.
        images (dict): ``train`` and ``val``, how many.
        annotations (dict): ``train`` and ``val``, hashes of the COCO files.
        iterations (int): Of the training.
        epochs (int): Of the training.
        processes (int): How many trained together.
        hours (dict): ``training`` and ``test`` (all tests, if they were timed), wall clock.
        machine (dict): ``cpu``, ``cores``, ``threads`` used, ``gpu`` (None without).
        versions (dict): Of Python, the libraries, and the commit of the project.
        format (int): Goes up when files written before can no longer be read.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra='forbid')

    key: CellKey
    fingerprint: str
    config: str
    commands: list[str]
    metrics: dict[str, dict[str, Metrics]]
    classes: dict[str, dict[str, Metrics]] = field(default_factory=dict)
    resamples: dict[str, dict[str, dict[str, list[Number]]]] = field(default_factory=dict)
    curve: dict[str, list[tuple[int, Number]]] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    iterations: int = 0
    epochs: int = 0
    processes: int = 1
    hours: dict[str, float] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    format: Literal[1] = 1

    @property
    def name(self) -> str:
        """Name of the cell."""
        return self.key.name

    def write(self, file: Path) -> None:
        """Write the JSON file, whole or not at all; its folder is made if need be."""
        content = dict(format=self.format) | dataclasses.asdict(self)
        content['key'] = self.key._asdict()
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, to_json(_rounded(content)) + b'\n')

    @classmethod
    def read(cls, file: Path) -> CellResult:
        """Read the JSON file of a cell.

        Raises:
            ValueError: If it is no result of a cell, or of another format.
        """
        text = file.read_bytes()
        try:
            return _READER.validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ' '.join(map(str, first['loc']))
            told = f'{where}: {first["msg"]}, not {reprlib.repr(first["input"])}'
            raise ValueError(f'{file}: not the result of a cell ({told})') from error


_READER = TypeAdapter(CellResult)


def _rounded(value: Any) -> Any:
    """None for NaN and infinity, which JSON has not; five digits, finer than any noise."""
    if isinstance(value, float):
        return float(f'{value:.5g}') if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, (list, tuple)) else value
