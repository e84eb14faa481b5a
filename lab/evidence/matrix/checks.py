"""What is looked at before a matrix is believed."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ge_det.catalogue import DEPTHS, NAMES
from ge_det.datasets import ContextShapes

from .yaml_file import MatrixError

if TYPE_CHECKING:
    from .entries import DataSet, Start
    from .matrix import Matrix


def _check_types(matrix: Matrix) -> None:
    numbers = dict(seeds=(matrix.seeds, 0), depths=(matrix.depths, 1))
    numbers.update(resamples=([matrix.resamples], 0), processes=([matrix.processes], 1))
    for data in matrix.data.values():
        least = 0 if data.draw is None else 1
        numbers[f'data {data.name}: train'] = ([data.train], least)
        numbers[f'data {data.name}: val'] = ([data.val], least)
    for name, (values, least) in numbers.items():
        is_list = isinstance(values, list) and values
        if not is_list or not all(type(n) is int and n >= least for n in values):
            raise MatrixError(
                f'{matrix.file.name}: {name}: {values} must be whole numbers from {least}'
            )
    if len(set(matrix.seeds)) < len(matrix.seeds):
        raise MatrixError(f'{matrix.file.name}: seeds: {matrix.seeds} has one twice')
    if max(matrix.seeds) >= 2**32:
        raise MatrixError(f'{matrix.file.name}: seeds: NumPy wants them below 2**32')
    sections: dict[str, tuple[dict[str, Any], type]] = dict(
        detectors=(matrix.detectors, str),
        classifiers=(matrix.classifiers, str),
        schedules=(matrix.schedules, dict),
        attention=(matrix.attention, dict),
    )
    for section_name, (entries, kind) in sections.items():
        wrong = [name for name, entry in entries.items() if not isinstance(entry, kind)]
        if wrong:
            form = 'NAME: CONFIG' if kind is str else 'NAME: {key: value}'
            raise MatrixError(f'{matrix.file.name}: {section_name} {wrong}: write {form}')


def _check_names(matrix: Matrix) -> None:
    """Names become folders and files."""
    names: dict[str, Collection[str]] = dict(name=[matrix.name])
    for what in ('detectors', 'classifiers', 'data', 'schedules', 'starts'):
        names[what] = getattr(matrix, what)
    for what, entries in names.items():
        for name in entries:
            if name and not re.fullmatch(r'\w[\w.-]*', name):
                raise MatrixError(
                    f'{matrix.file.name}: {what}: {name!r} becomes a folder; use letters, digits, '
                    '-, . and _'
                )


def _check_data(matrix: Matrix, data: DataSet) -> None:
    where = f'{matrix.file.name}: data {data.name}'
    if not (data.draw is None or isinstance(data.draw, dict)) or not isinstance(data.about, str):
        raise MatrixError(f'{where}: write draw: {{objects: [2, 4]}} and about: "some words"')
    groups = data.groups
    if not isinstance(groups, dict) or not all(
        isinstance(names, list) and names for names in groups.values()
    ):
        raise MatrixError(f'{where}: groups: write them as {{rare: [puffin, starfish]}}')
    # 'all', 'class:NAME' and 'GROUP, CONTROL' are names of results.
    wrong = [name for name in groups if name == 'all' or not re.fullmatch(r'[\w -]+', str(name))]
    if wrong:
        raise MatrixError(
            f'{where}: groups: {wrong}: use letters, digits, -, _ and spaces; all is every class'
        )
    if data.draw is not None:
        check_groups(data, ContextShapes.METAINFO['classes'], matrix.file.name)


def check_groups(data: DataSet, classes: Collection[str], file: str) -> None:
    """Raise a MatrixError if a group of a data set has a class that the set has not."""
    for group, names in data.groups.items():
        unknown = [name for name in names if name not in classes]
        if unknown:
            raise MatrixError(
                f'{file}: data {data.name}: groups: {group} has {unknown}, but the classes are '
                f'{list(classes)}'
            )


def _check_start(matrix: Matrix, start: Start) -> None:
    where = f'{matrix.file.name}: starts {start.name}'
    if not isinstance(start.preserve_function, bool):
        raise MatrixError(f'{where}: preserve_function is true or false')
    if start.attention and start.attention not in NAMES:
        raise MatrixError(f'{where}: attention {start.attention}: choose from {list(NAMES)}')
    if not start.classifier and (start.attention or not start.preserve_function):
        raise MatrixError(f'{where}: name the classifier whose weights it takes')


def _check_controls(matrix: Matrix, data: DataSet) -> None:
    where = f'{matrix.file.name}: data {data.name}: controls'
    entries = data.controls
    if not isinstance(entries, dict) or not all(isinstance(e, dict) for e in entries.values()):
        raise MatrixError(f'{where}: write them as {{no-marks: {{cue_contrast: 0}}}}')
    if entries and (data.draw is None or data.scenes):
        raise MatrixError(f'{where}: only sets that are drawn for detectors have them')
    for name in entries:
        if not re.fullmatch(r'[\w-]+', name):
            raise MatrixError(f'{where}: {name!r} becomes a folder; use letters, digits, - and _')
        data.generator(name)


def check_matrix(matrix: Matrix) -> None:
    """Raise a MatrixError, one line, if something in a matrix cannot work."""
    _check_types(matrix)
    _check_names(matrix)
    if matrix.attention.get('none'):
        raise MatrixError(f'{matrix.file.name}: attention: none has no arguments')
    for where, blocks in (
        ('attention', [*matrix.attention]),
        *((f'starts {start.name}: blocks', start.blocks) for start in matrix.starts.values()),
    ):
        if blocks and 'none' not in blocks:
            raise MatrixError(
                f'{matrix.file.name}: {where}: add none, the baseline that gains are over'
            )
    unknown = [depth for depth in matrix.depths if depth not in DEPTHS]
    if unknown:
        raise MatrixError(f'{matrix.file.name}: depths {unknown}: choose from {DEPTHS}')
    for start in matrix.starts.values():
        _check_start(matrix, start)
        unknown_blocks = [block for block in start.blocks if block not in matrix.attention]
        if unknown_blocks:
            raise MatrixError(
                f'{matrix.file.name}: starts {start.name}: blocks {unknown_blocks} are not among '
                f'{list(matrix.attention)}'
            )
        if start.classifier and start.classifier not in matrix.classifiers:
            raise MatrixError(
                f'{matrix.file.name}: starts {start.name}: there is no classifier '
                f'{start.classifier!r} among {list(matrix.classifiers)}'
            )
    if matrix.classifiers and matrix.classifier_data not in matrix.data:
        raise MatrixError(f'{matrix.file.name}: classifier_data must name one of {[*matrix.data]}')
    for data in matrix.data.values():
        _check_data(matrix, data)
        _check_controls(matrix, data)
        data.generator()
    if not any(name != matrix.classifier_data for name in matrix.data):
        raise MatrixError(f'{matrix.file.name}: data: add a set for the detectors')
    for cell in matrix.cells():
        where = f'{matrix.file.name}: data {cell.data.name}'
        if not cell.config.is_file():
            raise MatrixError(f'{matrix.file.name}: {cell.config}: no such config file')
        if cell.data.scenes and not cell.is_classifier:
            raise MatrixError(f'{where}: scenes are for classifiers; detectors learn from boxes')
        if cell.data.draw is not None and cell.is_classifier and not cell.data.scenes:
            raise MatrixError(f'{where}: classifiers learn from folders; add scenes: true')
