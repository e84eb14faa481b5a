"""The data that a config names: whether they are there, and how much they are."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from ge_det.config_reader import inner_data_sets, inner_dicts
from ge_det.errors import UserError
from ge_det.words import counted

_LOADERS = {'train': ('train_dataloader', 'val_dataloader'), 'test': ('test_dataloader',)}
_HEAD = re.compile(r'\.(bbox|mask)_head(\.\d+)?$')
_SAMPLE = 20  # Pictures looked for of each set: data that moved have moved as a whole.


@dataclass(frozen=True)
class DataSet:
    """One data set of a config, without what is wrapped around it.

    Args:
        key (str): Where the config has it, as for ``--cfg-options``.
        settings (dict): What it is built of.
    """

    key: str
    settings: Any

    def path(self, name: str) -> Path:
        """A file or folder of it, which may lie below its ``data_root``."""
        return Path(self.settings.get('data_root') or '', name)

    @property
    def annotations(self) -> Path | None:
        """Its annotation file, if it has one on a disk here."""
        name = self.settings.get('ann_file')
        is_here = isinstance(name, str) and name and '://' not in str(self.path(name))
        return self.path(str(name)) if is_here else None

    @property
    def images(self) -> Path:
        """The folder of its pictures."""
        return self.folders().get('data_prefix.img', self.path(''))

    @cached_property
    def picture_names(self) -> list[str]:
        """Those in a COCO file of any size; names with escapes in them as they stand there."""
        file = self.annotations
        if file is None or file.suffix != '.json' or not file.is_file() or not file.stat().st_size:
            return []
        with file.open('rb') as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as m:
            found = re.findall(rb'"file_name"\s*:\s*"((?:[^"\\]|\\.)*)"', m)
        return [name.decode('utf-8', 'replace') for name in found]

    @property
    def count(self) -> int:
        """How many pictures are read of it; 0 if that is not known."""
        count, indices = len(self.picture_names), self.settings.get('indices')
        if indices is None:
            return count
        return min(count, abs(indices) if isinstance(indices, int) else len(indices))

    def folders(self) -> dict[str, Path]:
        """Its folders on a disk here, by the keys that name them."""
        prefix = self.settings.get('data_prefix')
        named = prefix.items() if isinstance(prefix, dict) else [(None, prefix)]
        found = {}
        for key, name in named:
            if isinstance(name, str) and name and '://' not in str(self.path(name)):
                found[f'data_prefix.{key}' if key else 'data_prefix'] = self.path(name)
        return found


def data_sets(cfg: Any, command: str) -> dict[str, list[DataSet]]:
    """The data sets on local disks that a command reads, by the names of their loaders.

    Args:
        cfg (Config): A config.
        command (str): ``'train'`` or ``'test'``.
    """
    found = {}
    for name in _LOADERS[command]:
        loader = cfg.get(name)
        if isinstance(loader, dict) and isinstance(loader.get('dataset'), dict):
            inner = inner_data_sets(f'{name}.dataset', loader['dataset'])
            found[name] = [DataSet(*one) for one in inner if one[1].get('backend_args') is None]
    return found


def check_data_files(found: Mapping[str, list[DataSet]]) -> None:
    """Raise a UserError if an annotation file, a folder or all of its pictures are not there."""
    sets = list(chain.from_iterable(found.values()))
    _check_moved(sets)
    for one in sets:
        _check_pictures(one)


def _check_moved(sets: list[DataSet]) -> None:
    """Raise a UserError that names all files and folders that are gone, as the first is told."""
    gone = {}
    for one in sets:
        file = one.annotations
        if one.settings.get('ann_file') == '' and 'Coco' in str(one.settings.get('type')):
            raise UserError(f'{one.key}.ann_file is empty; name the annotation file')
        if file is not None and not file.exists():
            gone[f'{one.key}.ann_file=FILE'] = f'{file}: no such annotation file'
        for key, folder in one.folders().items():
            if not folder.is_dir():
                gone[f'{one.key}.{key}=FOLDER'] = f'{folder}: no such folder of pictures'
    if not gone:
        return
    evaluators = (
        ' (an evaluator may name it, too)' if any('ann_file' in key for key in gone) else ''
    )
    raise UserError(
        f'{next(iter(gone.values()))}; if the data have moved, run make-config again, change the '
        f'config or add --cfg-options {" ".join(gone)}{evaluators}'
    )


def changed_since(config: str, found: Mapping[str, list[DataSet]]) -> list[str]:
    """A warning for each annotation file that changed after make-config had checked it.

    Args:
        config (str): Path of the config. Others than those of make-config say nothing.
        found (dict): Its data sets.
    """
    if '# Written by: ' not in Path(config).read_text(encoding='utf-8', errors='replace')[:4096]:
        return []
    files = {one.annotations for one in chain.from_iterable(found.values())}
    written = os.path.getmtime(config)
    return [
        f'warning: {file} changed after {config} was written; run make-config again with --force '
        'to have it checked'
        for file in sorted(file for file in files if file is not None)
        if os.path.getmtime(file) > written
    ]


def check_num_classes(cfg: Any, found: Mapping[str, list[DataSet]]) -> None:
    """Raise a UserError if a head of a detector has another number of classes than the data."""
    heads = [one for one in inner_dicts('model', cfg.model) if _HEAD.search(one[0])]
    for one in chain.from_iterable(found.values()):
        count = len(class_names(one))
        for key, head in heads:
            number = head.get('num_classes')
            if count and isinstance(number, int) and number != count:
                raise UserError(
                    f'{key}.num_classes={number}, but {one.key} has '
                    f'{counted(count, "class")}; add --cfg-options {key}.num_classes={count}, '
                    'or change the classes of the data'
                )


def _check_pictures(one: DataSet) -> None:
    names = one.picture_names
    names = names[:: max(1, len(names) // _SAMPLE)]
    if names and not any((one.images / name).exists() for name in names):
        raise UserError(
            f'{one.images}: none of the pictures that {one.annotations} names is in it, '
            f'such as {names[0]}; add --cfg-options {one.key}.data_prefix.img=FOLDER'
        )


def classes_of(found: Mapping[str, list[DataSet]]) -> tuple[str, ...]:
    """The classes of the first set; none without one."""
    sets = next(iter(found.values()), [])
    return class_names(sets[0]) if sets else ()


def class_names(one: DataSet) -> tuple[str, ...]:
    """The classes of a set: the config's, or those that go with its type."""
    from mmdet.registry import DATASETS

    told = (one.settings.get('metainfo') or {}).get('classes')
    if told is None:
        kind = one.settings.get('type')
        kind = DATASETS.get(kind) if isinstance(kind, str) else kind
        told = (getattr(kind, 'METAINFO', None) or {}).get('classes')
    return (told,) if isinstance(told, str) else tuple(told or ())
