"""Run layers without keeping what is between them for the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from ge_det.ops.tracing import is_traced


def recompute(block: nn.Module, run: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
    """``run(*inputs)``, run again in the backward pass instead of keeping its inner tensors.

    Args:
        block (nn.Module): Whose parameters and batch normalisations ``run`` uses. The second run
            leaves their running statistics alone. With a normalisation that may talk to other
            processes nothing is run twice.
        run (Callable): Layers without randomness.
        *inputs (Tensor, optional): Arguments of ``run``.

    Returns:
        Tensor: What ``run`` returns.
    """
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
    tensors = (*inputs, *block.parameters())
    is_needed = any(tensor is not None and tensor.requires_grad for tensor in tensors)
    is_safe = all(type(norm) is nn.BatchNorm2d for norm in norms)
    is_graph = is_traced() or torch.compiler.is_compiling()
    if not torch.is_grad_enabled() or not is_needed or not is_safe or is_graph:
        return run(*inputs)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _KeptStatistics(norms)

    return checkpoint(
        run, *inputs, use_reentrant=False, preserve_rng_state=False, context_fn=contexts
    )


class _KeptStatistics(AbstractContextManager[None]):
    """Puts buffers of normalisations back; a graph that is kept enters it more than once."""

    def __init__(self, norms: Sequence[nn.Module]) -> None:
        self.buffers = [buffer for norm in norms for buffer in norm.buffers()]
        self.before: list[Tensor] = []

    def __enter__(self) -> None:
        self.before = [buffer.clone() for buffer in self.buffers]

    def __exit__(self, *_: object) -> None:
        with torch.no_grad():
            for buffer, value in zip(self.buffers, self.before, strict=True):
                buffer.copy_(value)
