"""Rows of boxes with scores, in shapes that do not depend on what they hold.

A row that holds nothing has the score :data:`NOTHING`, below every real one.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.task_modules.coders.delta_xywh_bbox_coder import delta2bbox
from torch import Tensor

NOTHING = -1.0
LOWEST = NOTHING / 2
"""A threshold that every real score passes."""


def best(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The highest scores of each row in falling order, and where they are.

    Args:
        scores (Tensor): (N, n).
        count (int): How many are asked for; what n lacks of it is NOTHING at index 0.

    Returns:
        tuple[Tensor, Tensor]: Both (N, count).
    """
    size = scores.shape[1]
    if not isinstance(size, int) or size < count:  # Of an open axis it may be less.
        scores = F.pad(scores, (0, count), value=NOTHING)
    values, indices = scores.topk(count, dim=1)
    return values, torch.where(values < 0, 0, indices)


def take(rows: Tensor, indices: Tensor) -> Tensor:
    """Rows (N, n, d) at indices (N, k): (N, k, d)."""
    return rows.gather(1, indices[..., None].expand(-1, -1, rows.shape[2]))


def keep_where(condition: Tensor, scores: Tensor) -> Tensor:
    """The scores where the condition holds, else NOTHING."""
    return torch.where(condition, scores, NOTHING)


def wide_enough(boxes: Tensor, least: float) -> Tensor:
    """Whether boxes (..., 4) are wider and higher than so many pixels."""
    return ((boxes[..., 2:] - boxes[..., :2]) > least).all(-1)


def decode(coder: Any, priors: Tensor, deltas: Tensor, sizes: Tensor) -> Tensor:
    """Boxes as mmdet's DeltaXYWHBBoxCoder decodes them, each picture cut off at its own size.

    Args:
        coder (DeltaXYWHBBoxCoder): Its means, deviations and limits are taken.
        priors (Tensor): (N, n, 4).
        deltas (Tensor): The same.
        sizes (Tensor): (N, 2), height and width.

    Returns:
        Tensor: (N, n, 4).
    """
    # The coder's own decode computes in another order while it is exported.
    boxes = delta2bbox(
        priors.reshape(-1, 4),
        deltas.reshape(-1, 4),
        coder.means,
        coder.stds,
        add_ctr_clamp=coder.add_ctr_clamp,
        ctr_clamp=coder.ctr_clamp,
    ).view(deltas.shape)
    if not coder.clip_border:
        return boxes
    limits = sizes.flip(1).repeat(1, 2)[:, None].to(boxes.dtype)
    return torch.minimum(boxes.clamp(min=0), limits)
