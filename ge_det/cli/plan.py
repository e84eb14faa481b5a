"""The plan of a training or a test in a few lines: data, network, weights, device."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import nn

from ge_det.blocks.gated_backbone import as_gated
from ge_det.cli.config_data import DataSet, class_names
from ge_det.config_reader import type_name
from ge_det.errors import without_secrets
from ge_det.times import told_minutes
from ge_det.words import counted


def plan_of(
    cfg: Any, data: Mapping[str, list[DataSet]], model: nn.Module | None, weights: str | None
) -> list[str]:
    """The lines.

    Args:
        cfg (Config): The config, changes included.
        data (Mapping[str, list[DataSet]]): Its data sets by the names of their loaders.
        model (nn.Module, optional): Its model, on any device; None if it could not be built.
        weights (str, optional): Checkpoint that is resumed or measured.
    """
    from mmengine.device import get_device

    lines = {'data': _data(data), 'network': _network(cfg, model)}
    lines['weights'] = weights or cfg.get('load_from') or _pretrained(cfg)
    lines['device'] = get_device()
    if weights is None and (minutes := promised_minutes(cfg)) is not None:
        lines['time'] = f'{told_minutes(minutes)}, as make-config measured it'
    return [without_secrets(f'{name + ":":<8} {text}') for name, text in lines.items()]


def _data(data: Mapping[str, list[DataSet]]) -> str:
    told = []
    for sets in data.values():
        files = [os.path.basename(str(one.annotations or one.path(''))) for one in sets]
        text = ' + '.join(dict.fromkeys(files))
        if all(counts := [one.count for one in sets]):
            text += f', {counted(sum(counts), "image")}'
        told.append(text)
        classes = class_names(sets[0]) if sets else ()
    if not told:
        return 'as the config says'
    few = f' ({", ".join(classes)})' if 0 < len(classes) <= 8 else ''
    read = [{one.annotations for one in sets} - {None} for sets in data.values()]
    if len(read) > 1 and set.intersection(*read):
        told.append('WARNING: measured on what it trains on, which tells nothing of new pictures')
    return '; '.join(told) + (f'; {counted(len(classes), "class")}{few}' if classes else '')


def _network(cfg: Any, model: nn.Module | None) -> str:
    kind = type_name(cfg.model.get('type'))
    if model is None or not isinstance(getattr(model, 'backbone', None), nn.Module):
        return kind
    backbone: Any = model.backbone
    depth = getattr(backbone, 'depth', '')
    text = f'{kind}, {type(backbone).__name__}{f"-{depth}" if depth else ""}'
    gates = Counter(type(gate).__name__ for gate in as_gated(backbone).gates().values())
    told = ', '.join(f'{counted(count, "gate")} {name}' for name, count in gates.items())
    return f'{text}, {told or "no gates"}'


def _pretrained(cfg: Any) -> str:
    backbone = cfg.model.get('backbone') or {}
    options = backbone.get('pretrained') or backbone.get('init_cfg') or {}
    if isinstance(options, dict):
        options = options.get('checkpoint')
    return f'backbone from {options}' if options else 'none; everything starts at random'


def promised_minutes(cfg: Any) -> float | None:
    """What make-config has promised, for as many epochs as there are now; None if nothing."""
    promised, epochs = cfg.get('promised'), (cfg.get('train_cfg') or {}).get('max_epochs')
    if not isinstance(promised, dict) or not isinstance(epochs, int):
        return None
    measured, trained = promised.get('minutes'), promised.get('epochs')
    if not isinstance(measured, (int, float)) or not isinstance(trained, int) or trained < 1:
        return None
    return measured * epochs / trained
