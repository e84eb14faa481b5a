"""Mean and variance of a batch, channel by channel."""

from __future__ import annotations

import torch
from torch import Tensor


def batch_statistics(y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel of (N, C, H, W), each (C,)."""
    means, variances = [], []
    for c in range(y.shape[1]):
        values = y[:, c].flatten()
        mean = values.sum() / len(values)
        means.append(mean)
        variances.append(((values - mean) ** 2).sum() / len(values))
    return torch.stack(means), torch.stack(variances)
