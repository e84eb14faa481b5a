"""The config of a cell: that which the matrix names, with what the cell changes in it."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from pprint import pformat
from typing import Any

from mmengine.config import Config

from ge_det.catalogue import attention_config, stage_channels
from ge_det.config_writer.literals import TEMPLATE
from ge_det.errors import UserError, one_line

from ..scene_folders import MARKER as SCENES_MARKER
from .matrix import Cell, Matrix

#: Goes up when a mended fault changes what cells find, or when more is measured. Also stands for
#: the pairing of the cells, which is in no fingerprint.
REVISION = 2


@lru_cache
def read_base(file: Path) -> Config:
    """The config that cells derive from; the same object for the same file."""
    try:
        config = Config.fromfile(str(file))
        kind, _ = config.model.backbone.type, config.train_cfg.max_epochs
    except Exception as error:  # A config is code and may fail in any way.
        raise UserError(
            f'{file}: it must be a config with a model that trains by epochs ({one_line(error)})'
        ) from error
    if not str(kind).endswith('AttentionResNet'):
        raise UserError(f'{file}: its backbone is {kind}, but must be ge_det.AttentionResNet')
    return config


def resolve_config(cell: Cell, start: Path | None = None) -> Config:
    """The config of a cell, but for what pairs it with others.

    ``start`` is the checkpoint of what it needs, a classifier or a detector. A UserError if the
    schedule or the block does not fit the config that the cell derives from.
    """
    try:
        config = _resolved(cell, start)
        data_files(cell, config)  # Which has to be told by it.
    except (KeyError, TypeError, IndexError, AttributeError) as error:  # Of a path or a type.
        raise UserError(
            f'schedules {cell.key.schedule}: it does not fit {cell.base} ({one_line(error)})'
        ) from error
    return config


def _resolved(cell: Cell, start: Path | None) -> Config:
    base, key = read_base(cell.base), cell.key
    config = copy.deepcopy(base)
    if cell.arguments is not None and base.model.backbone.get('attention') not in (None, 'none'):
        raise UserError(f'{cell.base}: it has attention; the matrix adds that itself')
    config.merge_from_dict(copy.deepcopy(cell.options))
    backbone = config.model.backbone
    channels = stage_channels(key.depth, backbone.get('base_channels', 64))
    # What the name of the cell says comes last: no schedule may change it.
    if cell.arguments is not None:
        backbone.pop('attention', None)
        if attention := attention_config(key.attention or 'none', channels[0]):
            backbone.attention = {**attention, **cell.arguments}
    if base.model.backbone.depth != key.depth:
        backbone.depth = key.depth
        if not cell.is_classifier:
            config.model.neck.in_channels = channels
    if start is not None:
        backbone.pretrained = dict(source='ge_det', checkpoint=str(start))
        backbone.pretrained.preserve_function = cell.start.preserve_function
        if cell.start.detector:
            for name, head in _heads(config.model):
                head['init_cfg'] = dict(type='Pretrained', checkpoint=str(start), prefix=name)
    if cell.data.root:
        for split in ('train', 'val', 'test'):
            data = config[f'{split}_dataloader'].dataset
            data.data_root = f'{cell.data.root}/'
            if split != 'train':
                config[f'{split}_evaluator'].ann_file = data.data_root + data.ann_file
    config.merge_from_dict(dict(randomness=dict(seed=key.seed)))
    return config


def _heads(model: Any, prefix: str = '') -> Iterator[tuple[str, Any]]:
    """Configs of a detector's parts beside the backbone, by how their weights' names begin."""
    for name in ('neck', 'rpn_head', 'bbox_head', 'mask_head'):
        part = model.get(name) or []
        if isinstance(part, list):  # A cascade has one of each stage.
            yield from ((f'{prefix}{name}.{stage}.', each) for stage, each in enumerate(part))
        else:
            yield f'{prefix}{name}.', part
    if 'roi_head' in model:
        yield from _heads(model['roi_head'], f'{prefix}roi_head.')


def config_text(config: Config) -> str:
    """A config as a file of its own, with the hook that pairs it with those of other blocks."""
    content = config.to_dict()
    imports = content.setdefault('custom_imports', {})
    imports['imports'] = [*imports.get('imports', []), 'lab.evidence.training.pairing']
    content['custom_hooks'] = [*(content.get('custom_hooks') or []), dict(type='PairedStart')]
    entries = (f'{name} = {pformat(value, sort_dicts=False)}\n' for name, value in content.items())
    text = '# A cell of a matrix; written by tools/reproduce.py.\n' + ''.join(entries)
    for line in text.splitlines():
        if TEMPLATE in line:  # Which only a string can hold here.
            raise UserError(f'{line.strip()}: MMEngine would fill in what {TEMPLATE} begins')
    return text


def control_config(config: Config, control: str) -> Config:
    """The config of a detector, to be tested on a control of its data set."""
    root, test = control_root(config, control), copy.deepcopy(config)
    test.test_dataloader.dataset.data_root = f'{root}/'
    test.test_evaluator.ann_file = str(root / test.test_dataloader.dataset.ann_file)
    return test


def control_root(config: Config, control: str) -> Path:
    """Folder of a control's set: beside that of the config's data."""
    root = Path(config.train_dataloader.dataset.data_root)
    return root.with_name(f'{root.name}-{control}')


def annotation_files(config: Config) -> dict[str, Path]:
    """COCO files of a detector's config: ``'train'``, and ``'val'``, which is what it tests on."""
    sets = dict(train=config.train_dataloader.dataset, val=config.test_dataloader.dataset)
    return {split: Path(data.data_root) / data.ann_file for split, data in sets.items()}


def data_files(cell: Cell, config: Config) -> dict[str, Path]:
    """Files that tell a data set from any other, to be hashed: annotations, or how it is drawn."""
    if not cell.is_classifier:
        return annotation_files(config)
    root = Path(config.train_dataloader.dataset.data_root)
    return dict(drawn=root / SCENES_MARKER) if cell.data.scenes else {}


def cell_fingerprint(cell: Cell, config: Config, start: str, matrix: Matrix) -> str:
    """Hash of what decides a cell's result: config, how data are drawn, what is measured.

    Photos are not in it, since committed results must be known without them; a result says itself
    which annotations it is from. ``start`` is the fingerprint of the cell whose weights it starts
    from, which counts instead of its place; empty without one.
    """
    resolved = config.to_dict()
    if start:
        resolved['model']['backbone']['pretrained']['checkpoint'] = start
        if cell.start.detector:
            for _, head in _heads(resolved['model']):
                head['init_cfg']['checkpoint'] = start
    parts: list[Any] = [REVISION, resolved, matrix.processes]
    if not cell.is_classifier:
        parts += [cell.data.groups, matrix.resamples]
    generator = cell.data.generator()
    if generator is not None:
        parts += [generator.VERSION, vars(generator), cell.data.train, cell.data.val]
        parts += [(name, vars(cell.data.generator(name))) for name in cell.data.controls]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
