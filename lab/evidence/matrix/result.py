"""The small JSON file that a finished cell leaves: all that reports are made from."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ge_det.files import to_json, write_whole

#: Goes up when files written before can no longer be read.
FORMAT = 1

Metrics = dict[str, float]


class CellKey(NamedTuple):
    """Which cell of a matrix.

    Attributes:
        data (str): Name of the data set.
        detector (str): Name of the detector, or of the classifier.
        depth (int): Of the ResNet.
        schedule (str): Name of the schedule.
        start (str): Name of where the weights come from.
        attention (str): Block, ``'none'`` for the baseline.
        seed (int): Of data order, augmentation and initial weights.
    """

    data: str
    detector: str
    depth: int
    schedule: str
    start: str
    attention: str
    seed: int

    @property
    def name(self) -> str:
        """Name of the cell in files and tables, unique in its matrix."""
        network = f'{self.detector}_r{self.depth}'
        block = '' if self.attention == 'none' else f'-{self.attention}'
        parts = [f'{network}{block}', self.data, self.schedule, self.start, f'seed{self.seed}']
        return '_'.join(part for part in parts if part)

    @property
    def baseline(self) -> CellKey:
        """The cell without attention that this one is paired with."""
        return self._replace(attention='none')


@dataclass(frozen=True)
class CellResult:
    """What one finished cell found.

    All AP and accuracies are shares, 0 to 1; NaN where the data have no object of that kind.

    Attributes:
        key (CellKey): Which cell.
        fingerprint (str): Hash of its config, how its data are drawn and what is measured.
        config (str): Its config, relative to the root of the project where it lies in there.
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
    """

    key: CellKey
    fingerprint: str
    config: str
    commands: list[str]
    metrics: dict[str, dict[str, Metrics]]
    classes: dict[str, dict[str, Metrics]] = field(default_factory=dict)
    resamples: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    curve: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    iterations: int = 0
    epochs: int = 0
    processes: int = 1
    hours: dict[str, float] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the cell."""
        return self.key.name

    def write(self, file: Path) -> None:
        """Write the JSON file, whole or not at all; its folder is made if need be."""
        content = dict(format=FORMAT, **dataclasses.asdict(self))
        content['key'] = self.key._asdict()
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, to_json(_without_nan(content)) + b'\n')

    @classmethod
    def read(cls, file: Path) -> CellResult:
        """Read the JSON file of a cell.

        Raises:
            ValueError: If it is no result of a cell, or of another format.
        """
        try:
            content = json.loads(file.read_text(encoding='utf-8'))
            version = content.pop('format')
            if version == FORMAT:
                restored = _with_nan(content)
                _check_numbers(restored)
                return cls(**{**restored, 'key': CellKey(**content['key'])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f'{file}: not the result of a cell ({error})') from error
        raise ValueError(f'{file}: format {version}, but this version reads {FORMAT}')


def _without_nan(value: Any) -> Any:
    """None for NaN and infinity, which JSON has not; five digits, finer than any noise."""
    if isinstance(value, float):
        return float(f'{value:.5g}') if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return [_without_nan(item) for item in value] if isinstance(value, (list, tuple)) else value


_MAY_BE_NAN = ('metrics', 'classes', 'resamples', 'curve')


def _with_nan(content: dict[str, Any]) -> dict[str, Any]:
    def restore(value: Any) -> Any:
        if value is None:
            return math.nan
        if isinstance(value, dict):
            return {key: restore(item) for key, item in value.items()}
        return [restore(item) for item in value] if isinstance(value, list) else value

    return {key: restore(v) if key in _MAY_BE_NAN else v for key, v in content.items()}


def _check_numbers(content: dict[str, Any]) -> None:
    """Raise a ValueError where a table holds something else than its mappings of numbers."""
    for name, (depth, is_leaf) in _TABLES.items():
        level = [content.get(name, {})]
        for _ in range(depth):
            if not all(isinstance(mapping, dict) for mapping in level):
                raise ValueError(f'{name} is damaged')
            level = [value for mapping in level for value in mapping.values()]
        if not all(map(is_leaf, level)):
            raise ValueError(f'{name} is damaged')


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))


def _are_points(value: Any) -> bool:
    return isinstance(value, list) and all(
        _are_numbers(point) and len(point) == 2 for point in value
    )


#: How many mappings lie in each other, and what is in the last.
_TABLES = dict(
    metrics=(3, _is_number),
    classes=(3, _is_number),
    resamples=(3, _are_numbers),
    curve=(1, _are_points),
    cost=(1, _is_number),
    images=(1, _is_number),
    hours=(1, _is_number),
)
