"""Whole detectors of a config: with a plain ResNet, with ours, and by the plug-in route."""

from __future__ import annotations

import copy
from typing import Any

from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor

from ge_det.catalogue import stage_channels
from ge_det.errors import UserError, one_line

from .contenders import Contender, load_shared, place, randomise
from .networks import attention_options, still_frozen_gates, trunk_options
from .settings import SpeedSettings

# True boxes a picture in training, about as many as in COCO.
_BOXES = 8

_RESNETS = ('ResNet', 'mmdet.ResNet', 'AttentionResNet', 'ge_det.AttentionResNet')

# What this module decides, or mmdet's ResNet does not know.
_DROPPED = (
    *('attention', 'attention_stages', 'fused', 'freeze_gates', 'gate_norm_eval', 'stem_pool'),
    *('pretrained', 'init_cfg', 'plugins', 'type', 'valid_area'),
)


def detector_inputs(settings: SpeedSettings, size: tuple[int, int], model: Any) -> dict[str, Any]:
    """Random pictures with boxes, normalised and padded by a detector's own preprocessing."""
    boxes, has_masks = [_BOXES] * settings.batch, getattr(model, 'with_mask', False)
    packed = demo_mm_inputs(settings.batch, (3, *size), num_items=boxes, with_mask=has_masks)
    for sample in packed['data_samples']:
        sample.gt_instances.labels.zero_()  # The class that every detector has.
    data: dict[str, Any] = model.data_preprocessor(packed, settings.train)
    data['inputs'] = data['inputs'].contiguous(memory_format=settings.memory_format)
    return data


def detector_contenders(settings: SpeedSettings, block: str, notes: list[str]) -> list[Contender]:
    """The group of one block: plain first, plug-in module and ours, with the same heads and trunk.

    The heads have mmdet's own first weights: the region proposals are as many as those of a
    trained detector, the detections after them are few.
    """
    model = _read_model(settings)
    attention = dict(type='ge_det.AttentionResNet', **attention_options(settings, block))
    plain = _build(model, dict(type='ResNet'))
    give_weights(plain)
    ours = _build(model, dict(attention, fused=True))
    randomise(ours.backbone, seed=1)
    load_shared(ours, plain.state_dict())
    still_frozen_gates(ours.backbone, settings)
    networks = {'plain': plain, 'control': copy.deepcopy(plain)}
    if 'plugin' in settings.against:
        networks['module'] = _build(model, dict(attention, fused=False))
        networks['module'].load_state_dict(ours.state_dict())
    networks['ours'] = ours
    for network in networks.values():
        place(network, settings)
    return [
        Contender(name, network, settings, DetectorPass(network, settings.train))
        for name, network in networks.items()
    ]


def give_weights(network: Any) -> None:
    """First weights of mmdet in neck and heads, random ones in the backbone; nothing is loaded."""
    for name, child in network.named_children():
        if name != 'backbone' and hasattr(child, 'init_weights'):
            child.init_weights()
    randomise(network.backbone)


class DetectorPass:
    """One call of a detector on :func:`detector_inputs`: the sum of its losses, or nothing."""

    def __init__(self, model: Any, train: bool) -> None:
        self.model = model
        self.train = train

    def __call__(self, data: dict[str, Any]) -> list[Tensor]:
        """Run it."""
        if not self.train:
            self.model(**data, mode='predict')
            return []
        return [self.model.parse_losses(self.model(**data, mode='loss'))[0]]


def _read_model(settings: SpeedSettings) -> Any:
    """The config's model, with a trunk of the asked depth and width and no weights to load."""
    try:
        model: Any = Config.fromfile(settings.config).get('model')
    except Exception as error:  # A config is code and may fail in any way.
        reason = f'cannot be read as a config ({one_line(error)})'
        raise UserError(f'{settings.config}: {reason}') from error
    kind = model and model.get('backbone', {}).get('type')
    if kind not in _RESNETS or not model.get('neck'):
        raise UserError(
            f'{settings.config}: its backbone is {kind}; give the config of a detector with a '
            'ResNet and an FPN'
        )
    for key in _DROPPED:
        model.backbone.pop(key, None)
    model.backbone.update(trunk_options(settings))
    model.neck.in_channels = stage_channels(settings.depth, settings.base_channels)
    model.init_cfg = None
    return model


def _build(model: Any, backbone: dict[str, Any]) -> Any:
    model = copy.deepcopy(model)
    model.backbone.update(backbone)
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(model)
