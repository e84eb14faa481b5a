"""What a matrix file says of its data sets and of where weights come from."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ge_det.datasets import ContextShapes

from .yaml_file import MatrixError

Options = dict[str, Any]


@dataclass(frozen=True)
class DataSet:
    """A data set of a matrix; the configs say where it lies.

    Args:
        name (str): In the names of cells and configs.
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

    name: str
    draw: Options | None = None
    train: int = 0
    val: int = 0
    scenes: bool = False
    groups: Mapping[str, list[str]] = field(default_factory=dict)
    controls: Mapping[str, Options] = field(default_factory=dict)
    about: str = ''

    def generator(self, control: str = '') -> ContextShapes | None:
        """What draws the set, or a control of it, if anything does."""
        if self.draw is None:
            return None
        try:
            return ContextShapes(**{**self.draw, **self.controls.get(control, {})})
        except TypeError as error:
            known = list(inspect.signature(ContextShapes).parameters)
            raise MatrixError(f'data {self.name}: {error}; draw may hold {known}') from error
        except ValueError as error:
            raise MatrixError(f'data {self.name}: {error}') from error


@dataclass(frozen=True)
class Start:
    """Where the weights of cells come from.

    Args:
        name (str): In the names of cells; empty for what the config says.
        classifier (str): The classifier of the matrix whose backbone they import, if any.
        attention (str): Block of that classifier. Defaults to '': that of the cell.
        preserve_function (bool): Whether fresh gates keep what the import computes. Defaults to
            True.
        blocks (list[str]): The blocks that it is run with, ``'none'`` among them. Defaults to none
            in particular: all of the matrix.
    """

    name: str = ''
    classifier: str = ''
    attention: str = ''
    preserve_function: bool = True
    blocks: Sequence[str] = ()
