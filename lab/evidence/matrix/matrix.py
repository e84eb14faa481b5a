"""The file of a matrix: which configs, blocks, depths, data and seeds make its cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from ge_det.catalogue import NAMES

from .checks import check_matrix
from .entries import DataSet, Options, Start
from .result import CellKey
from .yaml_file import MatrixError, check_keys, read_yaml, section


@dataclass(frozen=True)
class Cell:
    """One experiment of a matrix.

    Attributes:
        key (CellKey): Which one.
        config (Path): The config it derives from.
        arguments (dict | None): Extra arguments of the block; None where the config has the block.
        data (DataSet): What it learns.
        options (dict): Further changes to the config, nested.
        start (Start): Where its weights come from.
        needs (CellKey | None): The classifier to train first.
        is_classifier (bool): Whether mmpretrain trains it.
    """

    key: CellKey
    config: Path
    arguments: Options | None
    data: DataSet
    options: Options
    start: Start = Start()
    needs: CellKey | None = None
    is_classifier: bool = False

    @property
    def name(self) -> str:
        """Name of the cell."""
        return self.key.name


@dataclass(frozen=True)
class Matrix:
    """What a matrix file says; :meth:`read` checks it.

    Attributes:
        file (Path): The file.
        title (str): Heading of the report.
        about (str): What is asked, and how the data and the schedule were chosen.
        detectors (dict): Config of each detector by its name, relative to the file. Places in
            braces are filled in: ``{folder}`` (``baseline`` or the block), ``{block}`` (empty or
            ``-se``), ``{depth}``, ``{data}``, ``{schedule}``. Where it has no ``{block}``, the
            block is put into the config's backbone.
        classifiers (dict): The same for classifiers that detectors start from; each is trained
            once for a block, with the first seed.
        data (dict): Data sets by name.
        classifier_data (str): Name of the data set of the classifiers.
        attention (dict): Extra arguments of each block by its name.
        depths (list): Of the ResNets.
        schedules (dict): Changes to the config by the name of a schedule.
        starts (dict): Starts by name.
        seeds (list): Of data order, augmentation and first weights.
        resamples (int): Bootstrap resamples of the validation images that each cell measures.
        processes (int): GPUs that one training takes; the batch of the configs is that of each.
        name (str): In the names of folders. Defaults to that of the file.
    """

    file: Path
    title: str
    about: str
    detectors: dict[str, str]
    classifiers: dict[str, str]
    data: dict[str, DataSet]
    classifier_data: str
    attention: dict[str, Options]
    depths: list[int]
    schedules: dict[str, Options]
    starts: dict[str, Start]
    seeds: list[int]
    resamples: int
    processes: int
    name: str

    @classmethod
    def read(cls, file: str | Path) -> Matrix:
        """Read and check a matrix file.

        Raises:
            MatrixError: If something in it cannot work; one line, with the entry's name.
        """
        file = Path(file)
        content = read_yaml(file)
        known = {entry.name for entry in dataclasses.fields(cls)} - {'file'}
        check_keys(content, known, file.name)
        for name in ('detectors', 'data', 'attention', 'seeds'):
            if not content.get(name):
                raise MatrixError(f'{file.name}: it needs {name}')
        attention = section(content, 'attention', file)
        unknown = [name for name in attention if name not in NAMES]
        if unknown:
            raise MatrixError(f'{file.name}: attention {unknown}: choose from {list(NAMES)}')
        matrix = cls(
            file=file,
            title=str(content.get('title', file.stem)),
            about=str(content.get('about', '')).strip(),
            detectors=section(content, 'detectors', file),
            classifiers=section(content, 'classifiers', file),
            data={
                name: _entry(DataSet, name, entry, f'{file.name}: data {name}')
                for name, entry in section(content, 'data', file).items()
            },
            classifier_data=str(content.get('classifier_data', '')),
            attention=attention,
            depths=content.get('depths', [50]),
            schedules=section(content, 'schedules', file) or {'': {}},
            starts={
                name: _entry(Start, name, entry, f'{file.name}: starts {name}')
                for name, entry in section(content, 'starts', file).items()
            }
            or {'': Start()},
            seeds=content['seeds'],
            resamples=content.get('resamples', 200),
            processes=content.get('processes', 1),
            name=str(content.get('name', file.stem)),
        )
        check_matrix(matrix)
        return matrix

    def cells(self) -> list[Cell]:
        """All cells, in the order to run them: seed by seed, a classifier before its first use."""
        cells: dict[CellKey, Cell] = {}
        for seed, data, detector, depth, schedule, start, attention in product(
            self.seeds,
            (d for d in self.data if d != self.classifier_data),
            self.detectors,
            self.depths,
            self.schedules,
            self.starts.values(),
            self.attention,
        ):
            if start.blocks and attention not in start.blocks:
                continue
            key = CellKey(data, detector, depth, schedule, start.name, attention, seed)
            needs = self._classifier(start, depth, attention) if start.classifier else None
            if needs:
                cells.setdefault(needs.key, needs)
            cells[key] = dataclasses.replace(
                self._cell(key, self.detectors[detector]),
                start=start,
                needs=needs.key if needs else None,
            )
        return list(cells.values())

    def _classifier(self, start: Start, depth: int, attention: str) -> Cell:
        block = start.attention or attention
        key = CellKey(self.classifier_data, start.classifier, depth, '', '', block, self.seeds[0])
        cell = self._cell(key, self.classifiers[start.classifier])
        return dataclasses.replace(cell, is_classifier=True)

    def _cell(self, key: CellKey, template: str) -> Cell:
        block = '' if key.attention == 'none' else f'-{key.attention}'
        places = dict(
            folder=block[1:] or 'baseline',
            block=block,
            depth=key.depth,
            data=key.data,
            schedule=key.schedule,
        )
        try:
            config = self.file.parent / template.format(**places)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise MatrixError(
                f'{self.file.name}: {template!r} may hold {{{"}, {".join(places)}}} only ({error})'
            ) from error
        in_config = '{block}' in template or '{folder}' in template
        if in_config and self.attention.get(key.attention):
            raise MatrixError(
                f'{self.file.name}: attention {key.attention}: {template} has the block itself, '
                'with its arguments; give none here'
            )
        return Cell(
            key=key,
            config=config,
            arguments=None if in_config else self.attention.get(key.attention, {}),
            data=self.data[key.data],
            options=self.schedules.get(key.schedule, {}),
        )


def _entry(kind: Any, name: str, content: Any, where: str) -> Any:
    content = content or {}
    check_keys(content, {f.name for f in dataclasses.fields(kind)} - {'name'}, where)
    empty = [key for key, value in content.items() if value is None]
    if empty:
        raise MatrixError(f'{where}: {empty} has nothing; fill it in, or leave it out')
    return kind(name=name, **content)


def find_cell(cells: Iterable[Cell], name: str) -> Cell:
    """The cell of a name.

    Raises:
        MatrixError: If there is none.
    """
    for cell in cells:
        if cell.name == name:
            return cell
    raise MatrixError(f'{name}: no such cell; `tools/reproduce.py plan` lists them')
