"""What of a detector is exported where its heads are not: feature maps."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from ge_det.blocks.checks import check_choice
from ge_det.blocks.taking_back import in_eval_mode
from ge_det.errors import UserError


class Features(nn.Module):
    """The maps of a detector's neck, or of its backbone, as a network of its own.

    Args:
        network (nn.Module): A detector with ``backbone`` and ``neck``, as mmdet's have them, or a
            backbone. It is held as it is, not copied.
        what (str): ``'features'``, what the neck puts out, or ``'backbone'``.

    Attributes:
        names (tuple[str, ...]): Of the maps: ``'level0'`` and so on of a neck, the stages such as
            ``'layer1'`` of a backbone.

    Raises:
        UserError: If features of a network without a neck are asked for.
        ValueError: If ``what`` is neither.
    """

    def __init__(self, network: nn.Module, what: Literal['features', 'backbone']) -> None:
        super().__init__()
        check_choice('what', what, ('features', 'backbone'))
        parts: Any = network
        self.backbone: nn.Module = getattr(parts, 'backbone', network)
        self.neck: nn.Module | None = None
        if what == 'features':
            self.neck = getattr(parts, 'neck', None)
            if self.neck is None:
                raise UserError(
                    f'{type(network).__name__} has no neck whose features could be exported; '
                    "take its backbone: what='backbone'"
                )
        self.names = tuple(self._names())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (N, 3, H, W), as the backbone takes them, to maps from fine to coarse."""
        maps = self.backbone(images)
        if self.neck is not None:
            maps = self.neck(maps)
        return (maps,) if isinstance(maps, Tensor) else tuple(maps)

    @torch.no_grad()
    def _names(self) -> list[str]:
        # Not every neck tells how many levels it has.
        first = next(self.parameters())
        with in_eval_mode(self):
            count = len(self(first.new_zeros(1, 3, 64, 64)))
        if self.neck is not None:
            return [f'level{index}' for index in range(count)]
        stages = list(getattr(self.backbone, 'out_indices', ()))
        if len(stages) != count:
            stages = list(range(count))
        return [f'layer{stage + 1}' for stage in stages]
