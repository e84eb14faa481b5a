"""A faster layout of a network's weights in memory, by one line of a config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn


class ChannelsLast(Hook):
    """Keeps weights and feature maps (N, C, H, W) with the channels of a pixel side by side.

    The numbers are the same but for rounding. Convolutions of a narrow network run faster so on a
    CPU, and those in half precision on a GPU. In a config:
    ``custom_hooks = [dict(type='ge_det.ChannelsLast')]``.

    The maps that a detector's heads get are put back into torch's usual layout: MMCV's RoIAlign for
    CPUs reads its input as if it had that one, and would pool other numbers without a word.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Convert the model in place, before weights are loaded into it."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.to(memory_format=torch.channels_last)
        for part in model.modules():  # Semi-supervised detectors hold others.
            has_heads = hasattr(part, 'rpn_head') or hasattr(part, 'bbox_head')
            if has_heads and hasattr(part, 'backbone'):
                last = part.neck if getattr(part, 'with_neck', False) else part.backbone
                last.register_forward_hook(_contiguous)


def _contiguous(
    _module: nn.Module, _inputs: Any, maps: Tensor | Sequence[Tensor]
) -> Tensor | tuple[Tensor, ...]:
    if isinstance(maps, Tensor):
        return maps.contiguous()
    return tuple(level.contiguous() for level in maps)
