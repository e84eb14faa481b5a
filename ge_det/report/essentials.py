"""What a config comes down to, in a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ge_det.config_reader import inner_data_set, type_name
from ge_det.datasets.coco_file import read_lists
from ge_det.report.history import History
from ge_det.report.source import Source
from ge_det.times import duration
from ge_det.words import counted


def essentials(source: Source, history: History) -> list[tuple[str, str]]:
    """Names and values, in the order to show them."""
    config = source.config
    backbone = config.model.get('backbone') or {}
    rows = [
        ('detector', _detector(config, backbone)),
        ('attention', _attention(backbone)),
        ('picture size', _scale(config)),
        ('batch', str((config.get('train_dataloader') or {}).get('batch_size', ''))),
        ('length', _length(config, history)),
        ('optimizer', _optimizer(config)),
        ('started from', _start(config, backbone)),
        ('trained on', ', '.join(map(_counted, source.train_annotations))),
        ('measured on', _counted(source.annotations)),
        ('time', duration(history.seconds) if history.seconds else ''),
        ('machine', history.machine),
        ('checkpoint', source.checkpoint.name),
    ]
    return [(name, text) for name, text in rows if text]


def _detector(config: Any, backbone: Any) -> str:
    depth, width = backbone.get('depth'), backbone.get('base_channels', 64)
    name = type_name(backbone.get('type', ''))
    narrow = f', {width} channels wide instead of 64' if width != 64 else ''
    return f'{type_name(config.model.get("type"))}, {name}{f"-{depth}" if depth else ""}{narrow}'


def _attention(backbone: Any) -> str:
    """Short name of the block of a backbone; its type where it has none; ``'none'``."""
    from ge_det.catalogue import NAMES, attention_config

    wanted = backbone.get('attention') or 'none'
    if isinstance(wanted, str):
        return wanted
    kind = type_name(wanted.get('type'))
    for name in NAMES[1:]:
        settings = attention_config(name) or {}
        variant = {key: settings[key] for key in ('variant', 'extent') if key in settings}
        same = all(wanted.get(key, value) == value for key, value in variant.items())
        if same and type_name(settings['type']) == kind:
            return name
    return kind


def _scale(config: Any) -> str:
    loader = config.get('val_dataloader') or config.get('test_dataloader') or {}
    for step in inner_data_set(loader).get('pipeline') or []:
        if step.get('scale') is not None:
            scale = step['scale']
            return '×'.join(map(str, scale)) if isinstance(scale, (list, tuple)) else str(scale)
    return ''


def _length(config: Any, history: History) -> str:
    settings = config.get('train_cfg') or {}
    if (epochs := settings.get('max_epochs')) is not None:
        reached = history.train[-1].get('epoch', epochs) if history.train else epochs
        return counted(epochs, 'epoch') + (f', stopped in {reached}' if reached < epochs else '')
    iterations = settings.get('max_iters')
    return '' if iterations is None else counted(iterations, 'iteration')


def _optimizer(config: Any) -> str:
    settings = (config.get('optim_wrapper') or {}).get('optimizer') or {}
    rate = settings.get('lr')
    return f'{type_name(settings.get("type", ""))}{f", rate {rate:g}" if rate is not None else ""}'


def _start(config: Any, backbone: Any) -> str:
    options = backbone.get('pretrained') or backbone.get('init_cfg') or {}
    found = config.get('load_from') or (
        options.get('checkpoint') if isinstance(options, dict) else options
    )
    return str(found) if found else 'random weights'


def _counted(file: Path) -> str:
    try:
        content = read_lists(file)
    except ValueError:
        return file.name
    boxes = counted(len(content['annotations']), 'box')
    return f'{counted(len(content["images"]), "photo")} with {boxes} ({file.name})'
