"""The small JSON file that a finished cell leaves: all that reports are made from."""

from __future__ import annotations

import dataclasses
import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from ge_det.files import to_json, write_whole

from ..key import CellKey

# JSON has no NaN.
Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
Metrics = dict[str, Number]


@dataclass(frozen=True)
class CellResult:
    """What one finished cell found.

    All AP and accuracies are shares, 0 to 1; NaN where the data have no object of that kind. Tables
    have the kind of result first: ``'bbox'``, ``'segm'`` or ``'accuracy'``.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra='forbid')

    key: CellKey
    fingerprint: str  # Hash of its config, how its data are drawn and what is measured.
    config: str  # The one it derives from, relative to the root of the project.
    commands: list[str]
    # By group of classes ('all', those of the matrix, on a control 'GROUP, CONTROL'), AP, AP50,
    # AP75, APs, APm and APl; of a classifier top1 of 'all'.
    metrics: dict[str, dict[str, Metrics]]
    classes: dict[str, dict[str, Metrics]] = field(default_factory=dict)  # AP and AP50.
    # By group or 'class:NAME', metrics on resamples of the validation images. The draws depend on
    # the images and the number of the resample alone, so those of two cells pair.
    resamples: dict[str, dict[str, dict[str, list[Number]]]] = field(default_factory=dict)
    # 'loss', 'bbox AP', 'bbox AP, GROUP' or 'accuracy' at steps, by name.
    curve: dict[str, list[tuple[int, Number]]] = field(default_factory=dict)
    # Parameters in millions and gflops (multiply-adds), gate_... for the part of the blocks.
    cost: dict[str, float] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)  # 'train' and 'val', how many.
    annotations: dict[str, str] = field(default_factory=dict)  # Hashes of their COCO files.
    iterations: int = 0
    epochs: int = 0
    processes: int = 1  # That trained together.
    hours: dict[str, float] = field(default_factory=dict)  # 'training', 'test' if it was timed.
    machine: dict[str, Any] = field(default_factory=dict)  # cpu, cores, threads, gpu or None.
    versions: dict[str, str] = field(default_factory=dict)  # And the commit of the project.
    format: Literal[1] = 1  # Goes up when files written before can no longer be read.

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
        try:
            return _READER.validate_json(file.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            where = ' '.join(map(str, first['loc']))
            told = f'{where}: {first["msg"]}, not {reprlib.repr(first["input"])}'
            raise ValueError(f'{file}: not the result of a cell ({told})') from error


_READER = TypeAdapter(CellResult)


def machine_name(machine: Mapping[str, Any]) -> str:
    """The kind of machine that ran a cell, and its share of it."""
    gpu, cpu = machine.get('gpu'), machine.get('cpu', 'unknown processor')
    threads = f', threads: {machine["threads"]}' if machine.get('threads') else ''
    return f'{gpu} ({cpu}{threads})' if gpu else f'{cpu}{threads}'


def _rounded(value: Any) -> Any:
    """None for NaN and infinity, which JSON has not; five digits, finer than any noise."""
    if isinstance(value, float):
        return float(f'{value:.5g}') if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, (list, tuple)) else value
