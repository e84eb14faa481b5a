"""What a matrix file says of its data sets and of where weights come from."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ge_det.catalogue import NAMES
from ge_det.datasets import ContextShapes
from ge_det.errors import UserError

from ..swapped_marks import SwappedMarks

Options = dict[str, Any]
Block = Literal[NAMES]  # type: ignore[valid-type]
Count = Annotated[int, Field(ge=0)]
# NumPy wants them below 2**32.
Seeds = Annotated[list[Annotated[Count, Field(lt=2**32)]], Field(min_length=1)]


def _folder_name(name: str) -> str:
    if name and not re.fullmatch(r'\w[\w.-]*', name):
        raise ValueError(f'{name!r} becomes a folder; use letters, digits, -, . and _')
    return name


def _by_name(entries: Any) -> Any:
    """A plain list of names has empty entries."""
    if isinstance(entries, list) and all(isinstance(entry, str) for entry in entries):
        return {entry: {} for entry in entries}
    if isinstance(entries, dict):
        return {str(key): {} if value is None else value for key, value in entries.items()}
    return entries


Name = Annotated[str, AfterValidator(_folder_name)]
ByName = BeforeValidator(_by_name)


class Entry(BaseModel):
    """A mapping of a matrix file; what it may hold is its fields."""

    model_config = ConfigDict(strict=True, frozen=True)

    @model_validator(mode='before')
    @classmethod
    def _check_keys(cls, content: Any) -> Any:
        if isinstance(content, dict):
            if unknown := [key for key in content if key not in cls.model_fields]:
                raise ValueError(f'unknown {unknown}; it may hold {sorted(cls.model_fields)}')
            if empty := [key for key, value in content.items() if value is None]:
                raise ValueError(f'{empty} has nothing; fill it in, or leave it out')
        return content


class FurtherSeeds(Entry):
    """Seeds for some blocks alone, after those of all."""

    seeds: Seeds
    blocks: Annotated[list[Block], Field(min_length=1)]


class DataSet(Entry):
    """A data set of a matrix; the configs say where it lies."""

    draw: Options | None = None  # Arguments of ContextShapes; photos have none and must be there.
    train: Count = 0  # Pictures to draw.
    val: Count = 0
    root: str = ''  # Folder of a set for detectors; empty for the config's.
    scenes: bool = False  # Drawn as folders of pictures for a classifier.
    # Names of classes that are also measured apart.
    groups: dict[str, Annotated[list[str], Field(min_length=1)]] = {}
    # Sets that every detector is tested on as well: what is changed in `draw`, or the marks of the
    # other scene. Where the marks are gone, say, a gain that came from them must be gone too.
    controls: dict[Name, Options] = {}
    about: str = ''  # For readers, such as where to get it.

    @model_validator(mode='after')
    def _check(self) -> DataSet:
        # 'all', 'class:NAME' and 'GROUP, CONTROL' are names of results.
        wrong = [
            name for name in self.groups if name == 'all' or not re.fullmatch(r'[\w -]+', name)
        ]
        if wrong:
            raise ValueError(
                f'groups: {wrong}: use letters, digits, -, _ and spaces; all is every class'
            )
        if self.root and self.scenes:
            raise ValueError('root: the config of a classifier says where its pictures are')
        if self.controls and (self.draw is None or self.scenes):
            raise ValueError('controls: only sets that are drawn for detectors have them')
        if self.draw is not None:
            if not self.train or not self.val:
                raise ValueError('train and val must be whole numbers from 1')
            self.check_groups(ContextShapes.METAINFO['classes'])
            for control in ('', *self.controls):
                self.generator(control)
        return self

    def check_groups(self, classes: Collection[str]) -> None:
        """Raise a UserError if a group has a class that the set has not."""
        for group, names in self.groups.items():
            if unknown := [name for name in names if name not in classes]:
                told = f'groups: {group} has {unknown}, but the classes are {list(classes)}'
                raise UserError(told)

    def generator(self, control: str = '') -> ContextShapes | None:
        """What draws the set, or a control of it, if anything does."""
        if self.draw is None:
            return None
        arguments = {**self.draw, **self.controls.get(control, {})}
        kind = SwappedMarks if arguments.get('swapped_marks') else ContextShapes
        try:
            return kind(**arguments)
        except TypeError as error:
            known = list(inspect.signature(SwappedMarks).parameters)
            raise UserError(f'{error}; draw may hold {known}') from error


class Start(Entry):
    """Where the weights of cells come from."""

    classifier: str = ''  # Whose backbone they import; empty for what the config says.
    detector: str = ''  # The plain one, of the cell's own seed, that they go on from as a whole.
    attention: Block | Literal[''] = ''  # Block of that classifier; empty for that of the cell.
    preserve_function: bool = True  # Whether fresh gates keep what the import computes.
    blocks: list[str] = []  # That it is run with; empty for all of the matrix.
