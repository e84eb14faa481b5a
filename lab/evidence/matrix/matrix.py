"""The file of a matrix: which configs, blocks, depths, data and seeds make its cells."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from mmengine.config import Config
from mmengine.fileio import load
from pydantic import AfterValidator, Field, ValidationError, model_validator

from ge_det.catalogue import DEPTHS
from ge_det.errors import UserError, one_line

from ..key import CellKey
from .entries import (
    AtLeastOne,
    Block,
    ByName,
    Count,
    DataSet,
    Entry,
    Name,
    Options,
    Start,
    check_baseline,
)


@dataclass(frozen=True)
class Cell:
    """What a matrix says of one experiment.

    Attributes:
        key (CellKey): Which one.
        base (Path): The config it derives from.
        arguments (dict | None): Extra arguments of the block; None where the config has the block.
        data (DataSet): What it learns.
        options (dict): Further changes to the config, as of ``--cfg-options``.
        start (Start): Where its weights come from.
        needs (CellKey | None): The classifier to train first.
        is_classifier (bool): Whether mmpretrain trains it.
    """

    key: CellKey
    base: Path
    arguments: Options | None
    data: DataSet
    options: Options
    start: Start = Start()
    needs: CellKey | None = None
    is_classifier: bool = False


def _no_repeats(values: list[int]) -> list[int]:
    if len(set(values)) < len(values):
        raise ValueError(f'{values} has one twice')
    return values


def _depth(depth: int) -> int:
    if depth not in DEPTHS:
        raise ValueError(f'{depth}: choose from {DEPTHS}')
    return depth


class Matrix(Entry):
    """What a matrix file says; :meth:`read` checks it.

    Args:
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
    about: str = ''
    detectors: Annotated[dict[Name, str], ByName, Field(min_length=1)]
    classifiers: Annotated[dict[Name, str], ByName] = {}
    data: Annotated[dict[Name, DataSet], ByName, Field(min_length=1)]
    classifier_data: str = ''
    attention: Annotated[dict[Block, Options], ByName, Field(min_length=1)]
    depths: Annotated[list[Annotated[int, AfterValidator(_depth)]], Field(min_length=1)] = [50]
    schedules: Annotated[dict[Name, Options], ByName] = {}
    starts: Annotated[dict[Name, Start], ByName] = {}
    # NumPy wants them below 2**32.
    seeds: Annotated[
        list[Annotated[Count, Field(lt=2**32)]], Field(min_length=1), AfterValidator(_no_repeats)
    ]
    resamples: Count = 200
    processes: AtLeastOne = 1
    name: Name

    @classmethod
    def read(cls, file: str | Path) -> Matrix:
        """Read and check a matrix file.

        Raises:
            UserError: If something in it cannot work; one line, with the entry's name.
        """
        file = Path(file)
        content = dict(title=file.stem, name=file.stem) | _read_yaml(file)
        try:
            return cls.model_validate({**content, 'file': file})
        except ValidationError as error:
            first = error.errors()[0]
            entry = ' '.join(str(part) for part in first['loc'] if part != '[key]')
            said = first['msg'].removeprefix('Value error, ')
            if first['type'] == 'missing':
                said = 'it is needed'
            elif first['type'] != 'value_error':
                said += f', not {reprlib.repr(first["input"])}'
            told = one_line(ValueError(f'{entry}: {said}' if entry else said))
            raise UserError(f'{file.name}: {told}') from error

    @model_validator(mode='after')
    def _check(self) -> Matrix:
        if self.attention.get('none'):
            raise ValueError('attention: none has no arguments')
        check_baseline(self.attention, 'attention: ')
        for name, start in self.starts.items():
            unknown = [block for block in start.blocks if block not in self.attention]
            if unknown:
                raise ValueError(
                    f'starts {name}: blocks {unknown} are not among {list(self.attention)}'
                )
            if start.classifier and start.classifier not in self.classifiers:
                raise ValueError(
                    f'starts {name}: there is no classifier {start.classifier!r} among '
                    f'{list(self.classifiers)}'
                )
        if self.classifiers and self.classifier_data not in self.data:
            raise ValueError(f'classifier_data must name one of {[*self.data]}')
        if not any(name != self.classifier_data for name in self.data):
            raise ValueError('data: add a set for the detectors')
        for cell in self.cells():
            where = f'data {cell.key.data}'
            if not cell.base.is_file():
                raise ValueError(f'{cell.base}: no such config file')
            if cell.data.scenes and not cell.is_classifier:
                raise ValueError(f'{where}: scenes are for classifiers; detectors learn from boxes')
            if cell.data.draw is not None and cell.is_classifier and not cell.data.scenes:
                raise ValueError(f'{where}: classifiers learn from folders; add scenes: true')
        return self

    def cells(self) -> list[Cell]:
        """All cells, in the order to run them: seed by seed, a classifier before its first use."""
        cells: dict[CellKey, Cell] = {}
        for seed, data, detector, depth, schedule, (name, start), attention in product(
            self.seeds,
            (d for d in self.data if d != self.classifier_data),
            self.detectors,
            self.depths,
            self.schedules or [''],
            (self.starts or {'': Start()}).items(),
            self.attention,
        ):
            if start.blocks and attention not in start.blocks:
                continue
            cell = self._cell(
                CellKey(data, detector, depth, schedule, name, attention, seed),
                self.detectors[detector],
            )
            needs = self._classifier(start, depth, attention) if start.classifier else None
            if needs:
                cells.setdefault(needs.key, needs)
            cells[cell.key] = replace(cell, start=start, needs=needs.key if needs else None)
        return list(cells.values())

    def _classifier(self, start: Start, depth: int, attention: str) -> Cell:
        block = start.attention or attention
        key = CellKey(self.classifier_data, start.classifier, depth, '', '', block, self.seeds[0])
        return replace(self._cell(key, self.classifiers[start.classifier]), is_classifier=True)

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
            base = self.file.parent / template.format(**places)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise ValueError(
                f'{template!r} may hold {{{"}, {".join(places)}}} only ({error})'
            ) from error
        in_config = '{block}' in template or '{folder}' in template
        arguments = self.attention.get(key.attention or '', {})
        if in_config and arguments:
            raise ValueError(
                f'attention {key.attention}: {template} has the block itself, with its arguments; '
                'give none here'
            )
        return Cell(
            key=key,
            base=base,
            arguments=None if in_config else arguments,
            data=self.data[key.data],
            options=self.schedules.get(key.schedule, {}),
        )


def _read_yaml(file: Path) -> dict[str, Any]:
    """The mapping in a YAML file; as in any MMEngine config, ``_base_`` names one to build on."""
    if not file.is_file():
        raise UserError(f'{file}: no such matrix file; check the path')
    if file.suffix not in ('.yaml', '.yml'):
        raise UserError(f'{file}: a matrix is a YAML file, see lab/configs')
    try:
        own = load(file)
        if not isinstance(own, dict):
            raise TypeError('it is empty' if own is None else f'it is a {type(own).__name__}')
        content: dict[str, Any] = Config.fromfile(str(file)).to_dict()
    except Exception as error:  # YAML's own, and whatever MMEngine makes of other content.
        raise UserError(
            f'{file}: it cannot be read as a mapping in YAML ({one_line(error)}); '
            'lab/README.md says what it holds'
        ) from error
    # An entry without content is as good as none.
    return {name: value for name, value in content.items() if value is not None}
