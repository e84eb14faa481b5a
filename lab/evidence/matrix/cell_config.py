"""The config of a cell: an ordinary one, a few lines on top of the one that the matrix names."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ge_det.catalogue import attention_config, stage_channels
from ge_det.datasets.scene_folders import MARKER as SCENES_MARKER

from .matrix import Cell
from .yaml_file import MatrixError

#: Goes up when a mended fault changes what cells find, or when more is measured.
REVISION = 2


def write_cell_config(cell: Cell, folder: Path, start_from: Path | None = None) -> Path:
    """Write the config of a cell.

    Args:
        cell (Cell): Which one.
        folder (Path): Its work dir, made if it is not there.
        start_from (Path, optional): Checkpoint of the classifier it needs.

    Returns:
        Path: The config, for mmdet's or mmpretrain's tools.

    Raises:
        MatrixError: If the config it derives from does not fit.
    """
    base = read_base(cell.config)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f'{cell.name}.py'
    text = (
        f'# Cell {cell.name} of a matrix, written by tools/reproduce.py.\n'
        f'_base_ = {os.path.relpath(cell.config, folder)!r}\n'
        + _delta_text(cell_options(cell, base, start_from), base)
    )
    if not file.is_file() or file.read_text(encoding='utf-8') != text:
        file.write_text(text, encoding='utf-8')
    return file


def _delta_text(options: dict[str, Any], base: Config) -> str:
    inherited, hooks = base.get('custom_hooks') or [], options['custom_hooks']
    if not inherited or hooks[: len(inherited)] != inherited:
        return str(Config(options).pretty_text)
    # The base's own are referred to, not written again.
    options = {key: value for key, value in options.items() if key != 'custom_hooks'}
    added = hooks[len(inherited) :]
    return f'custom_hooks = _base_.custom_hooks + {added!r}\n{Config(options).pretty_text}'


@lru_cache
def read_base(file: Path) -> Config:
    """Read the config that cells derive from; the same object for the same file.

    Raises:
        MatrixError: If it cannot be read, or its backbone is not ours.
    """
    try:
        config = Config.fromfile(str(file))
        kind, _ = config.model.backbone.type, config.train_cfg.max_epochs
    except Exception as error:  # A config is code and may fail in any way.
        reason = ' '.join(str(error).split())
        raise MatrixError(
            f'{file}: it must be a config with a model that trains by epochs ({reason})'
        ) from error
    if not str(kind).endswith('AttentionResNet'):
        raise MatrixError(f'{file}: its backbone is {kind}, but must be ge_det.AttentionResNet')
    return config


def cell_options(cell: Cell, base: Config, start_from: Path | None = None) -> dict[str, Any]:
    """What the config of a cell changes in its base, as nested dicts.

    Args:
        cell (Cell): Which one.
        base (Config): The config it derives from.
        start_from (Path, optional): Checkpoint of the classifier it needs.

    Raises:
        MatrixError: If the base has a block already, which its baseline would have as well.
    """
    backbone: dict[str, Any] = {}
    channels = stage_channels(cell.key.depth, base.model.backbone.get('base_channels', 64))
    if cell.arguments is not None:
        if base.model.backbone.get('attention'):
            raise MatrixError(f'{cell.config}: it has attention; the matrix adds that itself')
        if cell.key.attention != 'none':
            attention = attention_config(cell.key.attention, channels[0]) or {}
            backbone['attention'] = {**attention, **cell.arguments}
    model: dict[str, Any] = dict(backbone=backbone)
    if base.model.backbone.depth != cell.key.depth:
        backbone['depth'] = cell.key.depth
        if not cell.is_classifier:
            model['neck'] = dict(in_channels=channels)
    if start_from is not None:
        backbone['pretrained'] = dict(
            source='ge_det',
            checkpoint=str(start_from),
            preserve_function=cell.start.preserve_function,
        )
    # What the name of the cell says comes last: no schedule may change it.
    changes = Config()
    changes.merge_from_dict(_whole_lists(cell.options, base))
    hooks = changes.get('custom_hooks', base.get('custom_hooks')) or []
    changes.merge_from_dict(
        dict(
            model=model,
            randomness=dict(seed=cell.key.seed),
            custom_imports=dict(imports=['lab.evidence.matrix.pairing']),
            custom_hooks=[*hooks, dict(type='PairedStart')],
        )
    )
    nested: dict[str, Any] = changes.to_dict()
    return nested


def _whole_lists(options: Mapping[str, Any], base: Config) -> dict[str, Any]:
    """Options that reach into a list give the list instead: a config can only replace it whole."""
    resolved = copy.deepcopy(base)
    resolved.merge_from_dict(dict(options))
    found = {}
    for name, value in options.items():
        reached, entry = reach(base, name)
        if isinstance(entry, (list, tuple)):
            found[reached] = reach(resolved, reached)[1]
        else:
            found[name] = value
    return found


def reach(config: Config, name: str, into_lists: bool = False) -> tuple[str, Any]:
    """Follow a dotted name into a config, to its end or to the first list.

    Args:
        config (Config): Where it begins.
        name (str): Keys, and places in lists, with dots between.
        into_lists (bool): Go on through lists. Defaults to False.

    Returns:
        tuple[str, Any]: The name so far, and the entry there; None if there is none.
    """
    parts, entry = name.split('.'), config
    for depth, part in enumerate(parts, start=1):
        if isinstance(entry, (list, tuple)):
            entry = entry[int(part)] if part.isdigit() and int(part) < len(entry) else None
        else:
            entry = entry.get(part) if hasattr(entry, 'get') else None
        if entry is None or (isinstance(entry, (list, tuple)) and not into_lists):
            return '.'.join(parts[:depth]), entry
    return name, entry


def resolve_config(cell: Cell, start_from: Path | None = None) -> Config:
    """What MMEngine reads from the config that :func:`write_cell_config` writes, in no time.

    Args:
        cell (Cell): Which one.
        start_from (Path, optional): Checkpoint of the classifier it needs.
    """
    config = copy.deepcopy(read_base(cell.config))
    try:
        config.merge_from_dict(cell_options(cell, config, start_from))
    except (KeyError, TypeError, IndexError) as error:  # MMEngine's, of a path or a type.
        reason = ' '.join(str(error).split())
        raise MatrixError(
            f'schedules {cell.key.schedule}: it does not fit {cell.config} ({reason})'
        ) from error
    return config


def cell_fingerprint(
    cell: Cell, config: Config, classifier: str = '', processes: int = 1, resamples: int = 0
) -> str:
    """Hash of what decides a cell's result: config, how data are drawn, what is measured.

    Photos are not in it, since landed results must be known without them; a result says itself
    which annotations it is from.

    Args:
        cell (Cell): Which one.
        config (Config): Its resolved config.
        classifier (str): Fingerprint of the classifier it starts from, instead of its place.
        processes (int): How many train together. Defaults to 1.
        resamples (int): Draws of the validation pictures. Defaults to 0.
    """
    resolved = config.to_dict()
    if classifier:
        resolved['model']['backbone']['pretrained']['checkpoint'] = classifier
    parts: list[Any] = [REVISION, resolved, processes]
    if not cell.is_classifier:
        parts += [cell.data.groups, resamples]
    generator = cell.data.generator()
    if generator is not None:
        parts += [generator.VERSION, vars(generator), cell.data.train, cell.data.val]
        parts += [(name, vars(cell.data.generator(name))) for name in cell.data.controls]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def data_files(config: Config, cell: Cell) -> dict[str, Path]:
    """Files that tell a data set from any other, to be hashed.

    Those of a detector are its annotations; the pictures of a classifier have none, but where they
    are drawn there is a note of how.
    """
    if not cell.is_classifier:
        return annotation_files(config)
    root = Path(config.train_dataloader.dataset.data_root)
    return dict(drawn=root / SCENES_MARKER) if cell.data.scenes else {}


def file_digest(file: Path) -> str:
    """Hash of a file, read anew when it has changed."""
    found = file.stat()
    return _digest(file.resolve(), found.st_mtime_ns, found.st_size)


@lru_cache
def _digest(file: Path, changed: int, size: int) -> str:
    with file.open('rb') as content:
        return hashlib.file_digest(content, 'sha256').hexdigest()[:16]


def annotation_files(config: Config) -> dict[str, Path]:
    """COCO files of a detector's config: ``'train'``, and ``'val'``, which is what it tests on."""
    sets = dict(train=config.train_dataloader.dataset, val=config.test_dataloader.dataset)
    return {split: Path(data.data_root) / data.ann_file for split, data in sets.items()}


def count_images(config: Config) -> dict[str, int]:
    """How many pictures a detector's config has: ``'train'`` and ``'val'``.

    Raises:
        OSError: If a COCO file is not there.
    """
    files = annotation_files(config)
    return {split: len(json.loads(f.read_text())['images']) for split, f in files.items()}
