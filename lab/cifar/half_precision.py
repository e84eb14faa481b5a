"""Mixed precision on a CPU, for which MMEngine's own wrapper asks for a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from mmengine.runner.amp import autocast
from torch import nn


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Losses under autocast to bfloat16; weights, their gradients and tests stay float32.

    Nothing is scaled: bfloat16 has the range of float32. See MMEngine's OptimWrapper for the rest.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Where the losses of an iteration are computed."""
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
