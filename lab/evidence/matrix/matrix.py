"""The file of a matrix: which configs, blocks, depths, data and seeds make its cells."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from mmengine.config import Config
from mmengine.fileio import load
from pydantic import Field, ValidationError, model_validator

from ge_det.catalogue import DEPTHS
from ge_det.errors import UserError, one_line

from ..key import CellKey
from .entries import Block, ByName, DataSet, Entry, FurtherSeeds, Name, Options, Seeds, Start

Depth = Literal[DEPTHS]  # type: ignore[valid-type]


@dataclass(frozen=True)
class Cell:
    """What a matrix says of one experiment."""

    key: CellKey
    base: Path  # The config it derives from.
    arguments: Options | None  # Further ones of the block; None where the config has the block.
    data: DataSet
    options: Options  # Changes to the config, as of `--cfg-options`.
    start: Start = Start()
    needs: CellKey | None = None  # The classifier or plain detector to train first.
    is_classifier: bool = False  # Trained by mmpretrain.
    is_start: bool = False  # Trained for the weights that others start from.


class Matrix(Entry):
    """What a matrix file says, as lab/configs/README.md tells users; :meth:`read` checks it."""

    file: Path
    title: str
    about: str = ''
    # Configs, relative to the file, with places in braces to fill in.
    detectors: Annotated[dict[Name, str], ByName, Field(min_length=1)]
    # Trained once for a block, with the first seed, on `classifier_data`.
    classifiers: Annotated[dict[Name, str], ByName] = {}
    data: Annotated[dict[Name, DataSet], ByName, Field(min_length=1)]
    classifier_data: str = ''
    # Trained once a seed, without attention, on the data of the cells that go on from it.
    plain_detectors: Annotated[dict[Name, str], ByName] = {}
    attention: Annotated[dict[Block, Options], ByName, Field(min_length=1)]  # With more arguments.
    depths: Annotated[list[Depth], Field(min_length=1)] = [50]
    schedules: Annotated[dict[Name, Options], ByName] = {}  # Changes to the config.
    starts: Annotated[dict[Name, Start], ByName] = {}
    seeds: Seeds
    further_seeds: FurtherSeeds | None = None
    resamples: Annotated[int, Field(ge=0)] = (
        200  # Of the validation images, which each cell measures.
    )
    processes: Annotated[int, Field(ge=1)] = 1  # GPUs of one training.
    name: Name

    @classmethod
    def read(cls, file: str | Path) -> Matrix:
        """Read a matrix file; a UserError, one line, names the entry that cannot work."""
        file = Path(file)
        content = dict(title=file.stem, name=file.stem) | _read_yaml(file)
        try:
            return cls.model_validate({**content, 'file': file})
        except ValidationError as error:
            first = error.errors()[0]
            said = one_line(ValueError(first['msg'].removeprefix('Value error, ')))
            if first['type'] == 'missing':
                said = 'it is needed'
            elif first['type'] != 'value_error':
                said += f', not {reprlib.repr(first["input"])}'
            entry = ' '.join(str(part) for part in first['loc'] if part != '[key]')
            raise UserError(': '.join(filter(None, (file.name, entry, said)))) from error

    @model_validator(mode='after')
    def _check(self) -> Matrix:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        further = self.further_seeds
        every = [*self.seeds, *(further.seeds if further else [])]
        if len(set(every)) < len(every):
            yield f'seeds: {every} has one twice'
        if self.attention.get('none'):
            yield 'attention: none has no arguments'
        blocks = {f'starts {name}: blocks': start.blocks for name, start in self.starts.items()}
        if further:
            blocks['further_seeds: blocks'] = further.blocks
        for where, names in {'attention': [*self.attention], **blocks}.items():
            if names and 'none' not in names:
                yield f'{where}: add none, the baseline that gains are over'
            if unknown := [block for block in names if block not in self.attention]:
                yield f'{where} {unknown} are not among {list(self.attention)}'
        for name, start in self.starts.items():
            if start.classifier and start.detector:
                yield f'starts {name}: weights come from a classifier or a detector, not from both'
            has_source = start.classifier or (start.detector and not start.attention)
            if not has_source and (start.attention or not start.preserve_function):
                yield f'starts {name}: name the classifier whose weights it takes'
            for what, source, known in (
                ('classifier', start.classifier, [*self.classifiers]),
                ('plain detector', start.detector, [*self.plain_detectors]),
            ):
                if source and source not in known:
                    yield f'starts {name}: there is no {what} {source!r} among {known}'
        if twice := [name for name in self.plain_detectors if name in self.detectors]:
            yield f'plain_detectors: {twice} are in detectors too; give them other names'
        if self.classifiers and self.classifier_data not in self.data:
            yield f'classifier_data must name one of {[*self.data]}'
        if not any(name != self.classifier_data for name in self.data):
            yield 'data: add a set for the detectors'
        for cell in self.cells():
            where, data = f'data {cell.key.data}', cell.data
            if not cell.base.is_file():
                yield f'{cell.base}: no such config file'
            if data.scenes and not cell.is_classifier:
                yield f'{where}: scenes are for classifiers; detectors learn from boxes'
            if data.draw is not None and cell.is_classifier and not data.scenes:
                yield f'{where}: classifiers learn from folders; add scenes: true'

    def cells(self) -> list[Cell]:
        """All cells, in the order to run them: seed by seed, and a start before its first use."""
        cells: dict[CellKey, Cell] = {}
        further = self.further_seeds
        for seed, data, detector, depth, schedule, (name, start), attention in product(
            [*self.seeds, *(further.seeds if further else [])],
            (name for name in self.data if name != self.classifier_data),
            self.detectors,
            self.depths,
            self.schedules or [''],
            (self.starts or {'': Start()}).items(),
            self.attention,
        ):
            if start.blocks and attention not in start.blocks:
                continue
            if further and seed in further.seeds and attention not in further.blocks:
                continue
            key = CellKey(data, detector, depth, schedule, name, attention, seed)
            cell = replace(self._cell(key, self.detectors[detector]), start=start)
            if start.classifier:
                block, where = start.attention or attention, self.classifier_data
                needs = CellKey(where, start.classifier, depth, '', '', block, self.seeds[0])
                first = self._cell(needs, self.classifiers[start.classifier])
                cells.setdefault(needs, replace(first, is_classifier=True, is_start=True))
                cell = replace(cell, needs=needs)
            elif start.detector:
                needs = CellKey(data, start.detector, depth, '', '', 'none', seed)
                first = self._cell(needs, self.plain_detectors[start.detector])
                cells.setdefault(needs, replace(first, is_start=True))
                cell = replace(cell, needs=needs)
            cells[key] = cell
        return list(cells.values())

    def _cell(self, key: CellKey, template: str) -> Cell:
        block = '' if key.attention == 'none' else f'-{key.attention}'
        places = dict(folder=block[1:] or 'baseline', block=block)
        places |= dict(depth=str(key.depth), data=key.data, schedule=key.schedule)
        try:
            base = self.file.parent / template.format(**places)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            known = '}, {'.join(places)
            raise ValueError(f'{template!r} may hold {{{known}}} only ({error})') from error
        arguments: Options | None = self.attention.get(key.attention, {})
        if '{block}' in template or '{folder}' in template:
            if arguments:
                told = f'{template} has the block itself, with its arguments; give none here'
                raise ValueError(f'attention {key.attention}: {told}')
            arguments = None
        return Cell(key, base, arguments, self.data[key.data], self.schedules.get(key.schedule, {}))


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
            'lab/configs/README.md says what it holds'
        ) from error
    # An entry without content is as good as none.
    return {name: value for name, value in content.items() if value is not None}
