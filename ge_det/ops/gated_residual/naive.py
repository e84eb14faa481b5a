"""The end of a residual unit, channel by channel and position by position."""

from __future__ import annotations

import torch
from torch import Tensor

from ge_det.ops import naive


def gated_residual(
    y: Tensor,
    identity: Tensor | None,
    gate: Tensor,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    """relu(identity + up(gate) * (scale * y + shift)); without identity, no ReLU either."""
    up = naive.nearest(gate, *y.shape[2:])
    channels = []
    for c in range(y.shape[1]):
        z = y[:, c] if scale is None or shift is None else scale[c] * y[:, c] + shift[c]
        channels.append(up[:, c * gate.shape[1] // y.shape[1]] * z)
    gated = torch.stack(channels, 1)
    return gated if identity is None else naive.relu(identity + gated)
