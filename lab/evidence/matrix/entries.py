"""What a matrix file says of its data sets and of where weights come from."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ge_det.catalogue import NAMES
from ge_det.datasets import ContextShapes
from ge_det.errors import UserError

Options = dict[str, Any]


def _folder_name(name: str) -> str:
    if name and not re.fullmatch(r'\w[\w.-]*', name):
        raise ValueError(f'{name!r} becomes a folder; use letters, digits, -, . and _')
    return name


def _block(name: str) -> str:
    if name and name not in NAMES:
        raise ValueError(f'{name!r}: choose from {list(NAMES)}')
    return name


def _by_name(entries: Any) -> Any:
    """A plain list of names has empty entries."""
    if isinstance(entries, list) and all(isinstance(entry, str) for entry in entries):
        return {entry: {} for entry in entries}
    if isinstance(entries, dict):
        return {str(key): {} if value is None else value for key, value in entries.items()}
    return {} if entries is None else entries


Name = Annotated[str, AfterValidator(_folder_name)]
Block = Annotated[str, AfterValidator(_block)]
ByName = BeforeValidator(_by_name)
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]


class Entry(BaseModel):
    """A mapping of a matrix file; what it may hold is its fields."""

    model_config = ConfigDict(strict=True, frozen=True)

    @model_validator(mode='before')
    @classmethod
    def _check_keys(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        unknown = [key for key in content if key not in cls.model_fields]
        if unknown:
            raise ValueError(f'unknown {unknown}; it may hold {sorted(cls.model_fields)}')
        empty = [key for key, value in content.items() if value is None]
        if empty:
            raise ValueError(f'{empty} has nothing; fill it in, or leave it out')
        return content


class DataSet(Entry):
    """A data set of a matrix; the configs say where it lies.

    Args:
        draw (dict, optional): Arguments of ContextShapes, where the set is drawn; a set of photos
            has none and must be there.
        train (int): Pictures to draw for training.
        val (int): Pictures to draw for validation.
        scenes (bool): Drawn as folders of pictures for a classifier.
        groups (dict): Names of classes that are also measured apart, by the name of the group.
        controls (dict): Sets that every detector is tested on as well, by name: what is changed in
            ``draw``.
        about (str): For readers of the report, such as where to get it.
    """

    draw: Options | None = None
    train: Count = 0
    val: Count = 0
    scenes: bool = False
    groups: dict[str, Annotated[list[str], Field(min_length=1)]] = {}
    controls: dict[Name, Options] = {}
    about: str = ''

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
        """Raise a ValueError if a group has a class that the set has not."""
        for group, names in self.groups.items():
            unknown = [name for name in names if name not in classes]
            if unknown:
                raise ValueError(
                    f'groups: {group} has {unknown}, but the classes are {list(classes)}'
                )

    def generator(self, control: str = '') -> ContextShapes | None:
        """What draws the set, or a control of it, if anything does."""
        if self.draw is None:
            return None
        try:
            return ContextShapes(**{**self.draw, **self.controls.get(control, {})})
        except TypeError as error:
            known = list(inspect.signature(ContextShapes).parameters)
            raise UserError(f'{error}; draw may hold {known}') from error


class Start(Entry):
    """Where the weights of cells come from.

    Args:
        classifier (str): The classifier of the matrix whose backbone they import; empty for what
            the config says.
        attention (str): Block of that classifier; empty for that of the cell.
        preserve_function (bool): Whether fresh gates keep what the import computes.
        blocks (list[str]): The blocks that it is run with; all of the matrix where it is empty.
    """

    classifier: str = ''
    attention: Block = ''
    preserve_function: bool = True
    blocks: list[str] = []

    @model_validator(mode='after')
    def _check(self) -> Start:
        if not self.classifier and (self.attention or not self.preserve_function):
            raise ValueError('name the classifier whose weights it takes')
        check_baseline(self.blocks, 'blocks: ')
        return self


def check_baseline(blocks: Collection[str], where: str = '') -> None:
    """Raise a ValueError if there are blocks without what their gains are over."""
    if blocks and 'none' not in blocks:
        raise ValueError(f'{where}add none, the baseline that gains are over')
