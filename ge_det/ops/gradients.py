"""Whether what is computed is to be differentiated."""

from __future__ import annotations

import torch
from torch import Tensor


def wants_gradient(*tensors: Tensor | None) -> bool:
    """Whether autograd is on and one of some tensors needs a gradient."""
    return torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in tensors)
