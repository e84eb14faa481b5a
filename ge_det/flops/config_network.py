"""The network of a detector's or classifier's config, and an image to send through it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from ge_det.compat.peers import use_peers
from ge_det.config_reader import inner_data_set, read_model, type_name
from ge_det.errors import UserError, one_line

from .count import NetworkCost, count_cost


@dataclass(frozen=True)
class CountedConfig:
    """A config's network and what it costs.

    Args:
        kind (str): Type of the network, such as ``'FasterRCNN'``.
        image (tuple[int, int]): Height and width of the image that was asked for.
        padded (tuple[int, int]): Those the network saw, rounded up as its config says.
        cost (NetworkCost): The cost of one image.
    """

    kind: str
    image: tuple[int, int]
    padded: tuple[int, int]
    cost: NetworkCost


def count_config(
    config: str,
    cfg_options: dict[str, Any] | None = None,
    shape: tuple[int, int] | None = None,
) -> CountedConfig:
    """Count the network of a config for one image.

    Detectors run as in mmdet's own tool: image, neck and heads up to their raw outputs. The heads
    of a two-stage detector see as many proposals as untrained weights yield.

    Args:
        config (str): Path of the config.
        cfg_options (dict, optional): Changes to it, as from ``--cfg-options``. Defaults to None.
        shape (tuple[int, int], optional): Height and width of the image. Defaults to None: that of
            the test pipeline, a landscape image where it keeps the ratio.

    Returns:
        CountedConfig: The cost; nothing is downloaded or loaded.

    Raises:
        UserError: If the config has no network that can be built, says no image size, or the
            network does not run at the size; the message is one line.
    """
    cfg = read_model(config, cfg_options)
    try:
        model = _build(cfg)
    except Exception as error:
        raise UserError(f'{config}: no network can be built from it ({one_line(error)})') from error
    shape = shape or default_shape(cfg)
    if shape is None:
        raise UserError(f'{config}: its test pipeline says no image size; give --shape H W')
    if min(shape) < 1:
        raise UserError(f'--shape {shape[0]} {shape[1]}: height and width must be at least 1')
    torch.manual_seed(0)
    try:
        image = _feed(model, shape)
        cost = count_cost(model, image)
    except Exception as error:  # What models of others raise at a size they do not take.
        size = f'{shape[0]}x{shape[1]}'
        raise UserError(
            f'{config}: the network does not run on an image of {size}; try a larger --shape '
            f'({_first_line(error)})'
        ) from error
    return CountedConfig(type(model).__name__, shape, (image.shape[2], image.shape[3]), cost)


def default_shape(cfg: Config) -> tuple[int, int] | None:
    """Height and width that a config's test pipeline makes of a landscape image, if it says."""
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader') or {}
    shape = None
    for step in inner_data_set(loader).get('pipeline') or []:
        sizes = {'Resize': 'scale', 'CenterCrop': 'crop_size'}
        size = step.get(sizes.get(type_name(step.get('type')), ''))
        if isinstance(size, int):
            shape = (size, size)
        elif isinstance(size, (tuple, list)) and len(size) == 2:
            shape = (min(size), max(size))
    return shape


def _build(cfg: Config) -> nn.Module:
    from mmdet.registry import MODELS

    scope = cfg.get('default_scope', 'mmdet')
    if scope == 'mmpretrain':
        use_peers()  # Its models import torchvision.
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(cfg.model)
    return revert_sync_batchnorm(model)


def _feed(model: nn.Module, shape: tuple[int, int]) -> Tensor:
    """A black image as the model wants it; a detector is told its size once and for all."""
    from mmdet.models.detectors.base import BaseDetector
    from mmdet.structures import DetDataSample

    if not isinstance(model, BaseDetector):
        return torch.zeros(1, 3, *shape)
    sample = DetDataSample(metainfo=dict(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0)))
    image = torch.zeros(3, *shape, dtype=torch.uint8)
    data = model.data_preprocessor(dict(inputs=[image], data_samples=[sample]), False)
    model.forward = partial(model.forward, data_samples=data['data_samples'])
    return data['inputs']


def _first_line(error: Exception) -> str:
    """torch's messages go on with a trace."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
