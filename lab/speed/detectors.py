"""Whole detectors of a config: with a plain ResNet, with ours, and by the plug-in route."""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from ge_det.catalogue import stage_channels

from .backbones import attention_options, trunk_options
from .contenders import Contender, load_shared, place, randomise
from .settings import BenchmarkError, SpeedSettings

BOXES = 8
"""True boxes a picture in training, about as many as in COCO."""

_RESNETS = ('ResNet', 'mmdet.ResNet', 'AttentionResNet', 'ge_det.AttentionResNet')

# What this module decides, or mmdet's ResNet does not know.
_DROPPED = (
    *('attention', 'attention_stages', 'fused', 'freeze_gates', 'gate_norm_eval', 'stem_pool'),
    *('pretrained', 'init_cfg', 'plugins', 'type'),
)


def detector_inputs(settings: SpeedSettings, size: tuple[int, int], model: Any) -> dict[str, Any]:
    """Random pictures, normalised and padded by a detector's own preprocessing, with boxes.

    Args:
        settings (SpeedSettings): Of the run.
        size (tuple[int, int]): Height and width of the pictures.
        model (BaseDetector): Any detector of the group.

    Returns:
        dict: ``inputs``, (N, 3, H, W), and ``data_samples``.
    """
    packed = demo_mm_inputs(
        settings.batch,
        (3, *size),
        num_items=[BOXES] * settings.batch,
        with_mask=getattr(model, 'with_mask', False),
    )
    for sample in packed['data_samples']:
        sample.gt_instances.labels.zero_()  # The class that every detector has.
    data: dict[str, Any] = model.data_preprocessor(packed, settings.train)
    data['inputs'] = data['inputs'].contiguous(memory_format=settings.memory_format)
    return data


def detector_contenders(settings: SpeedSettings, block: str, only_ours: bool) -> list[Contender]:
    """The group of one block: plain, plug-in module and ours, with the same heads and trunk.

    The heads have mmdet's own first weights: the region proposals are as many as those of a
    trained detector, the detections after them are few.

    Args:
        settings (SpeedSettings): Of the run.
        block (str): Name of the block.
        only_ours (bool): Leave the plug-in route out.

    Returns:
        list[Contender]: The plain detector first.

    Raises:
        BenchmarkError: If the config has no detector with a ResNet.
    """
    model = _read_model(settings)
    plain = _build(model, dict(type='ResNet'))
    give_weights(plain)
    ours = _build(model, _ours(settings, block, fused=True))
    randomise(ours.backbone, seed=1)
    load_shared(ours, plain.state_dict())
    networks = {'plain': plain}
    if not only_ours and 'plugin' in settings.against:
        networks['module'] = _build(model, _ours(settings, block, fused=False))
        networks['module'].load_state_dict(ours.state_dict())
    networks['ours'] = ours
    for network in networks.values():
        place(network, settings)
    return [
        Contender(name, network, DetectorPass(network, settings.train), settings)
        for name, network in networks.items()
    ]


def give_weights(network: Any) -> None:
    """First weights of mmdet in neck and heads, random ones in the backbone; nothing is loaded."""
    for name, child in network.named_children():
        if name != 'backbone' and hasattr(child, 'init_weights'):
            child.init_weights()
    randomise(network.backbone)


class DetectorPass:
    """One call of a detector: the sum of its losses, or nothing after its predictions."""

    def __init__(self, model: Any, train: bool) -> None:
        self.model = model
        self.train = train

    def __call__(self, data: dict[str, Any]) -> list[Tensor]:
        """Run it on what :func:`detector_inputs` returned."""
        if not self.train:
            self.model(**data, mode='predict')
            return []
        losses = self.model(**data, mode='loss')
        terms = [
            torch.stack(v) if isinstance(v, list) else v for k, v in losses.items() if 'loss' in k
        ]
        return [torch.stack([term.float().sum() for term in terms]).sum()]


def _ours(settings: SpeedSettings, block: str, fused: bool) -> dict[str, Any]:
    return dict(type='ge_det.AttentionResNet', fused=fused, **attention_options(settings, block))


def _read_model(settings: SpeedSettings) -> Any:
    """The config's model, with a trunk of the asked depth and width and no weights to load."""
    try:
        model: Any = Config.fromfile(settings.config).get('model')
    except Exception as error:  # A config is code and may fail in any way.
        reason = ' '.join(str(error).split())
        raise BenchmarkError(f'{settings.config}: cannot be read as a config ({reason})') from error
    kind = model and model.get('backbone', {}).get('type')
    if kind not in _RESNETS or not model.get('neck'):
        raise BenchmarkError(
            f'{settings.config}: its backbone is {kind}; give the config of a detector with a '
            'ResNet and an FPN'
        )
    model = copy.deepcopy(model)
    for key in _DROPPED:
        model.backbone.pop(key, None)
    model.backbone.update(trunk_options(settings))
    model.neck.in_channels = stage_channels(settings.depth, settings.base_channels)
    return model


def _build(model: Any, backbone: dict[str, Any]) -> Any:
    model = copy.deepcopy(model)
    model.backbone.update(backbone)
    model.init_cfg = None
    with DefaultScope.overwrite_default_scope('mmdet'):
        network: nn.Module = MODELS.build(model)
    return network
