"""Run layers without keeping what is between them for the backward pass."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ge_det.ops.gradients import wants_gradient
from ge_det.ops.tracing import needs_torchs_operators

from .layers import DepthwiseNorm, ExcitationLayers
from .plain import is_plain


def recompute(block: nn.Module, run: Callable[..., Any], *inputs: Tensor | None) -> Any:
    """``run(*inputs)``, run again in the backward pass instead of keeping its inner tensors.

    Args:
        block (nn.Module): Whose layers ``run`` uses. The second run leaves their running statistics
            alone. With anything inside but plain layers, such as hooks, dropout or a normalisation
            that may talk to other processes, nothing is run twice.
        run (Callable): Runs layers of the block and nothing random beside them.
        *inputs (Tensor, optional): Arguments of ``run``.

    Returns:
        Any: What ``run`` returns, a tensor or a tuple of them.

    Raises:
        RuntimeError: In the backward pass, if parameters were changed in place before it.
    """
    parameters = list(block.parameters())
    is_graph = needs_torchs_operators() or torch.compiler.is_compiling()
    if is_graph or not wants_gradient(*inputs, *parameters) or not _runs_twice_alike(block):
        return run(*inputs)
    versions = [parameter._version for parameter in parameters]

    def run_unchanged(*inputs: Tensor | None) -> Any:
        if [parameter._version for parameter in parameters] != versions:
            raise RuntimeError(
                'weights of a block were changed in place between its forward and backward pass'
            )
        return run(*inputs)

    with _ONE_RUN:
        state = _State(block)

    def contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        return _ONE_RUN, state

    return checkpoint(
        run_unchanged, *inputs, use_reentrant=False, preserve_rng_state=False, context_fn=contexts
    )


# The second run borrows the block's dicts: another thread must not see it meanwhile.
_ONE_RUN = threading.RLock()

# Layers that give the same twice and notice nothing of it, but for statistics.
_REPEATABLE = (
    nn.ModuleList,
    DepthwiseNorm,
    ExcitationLayers,
    nn.Conv2d,
    nn.BatchNorm2d,
    nn.Identity,
)


def _runs_twice_alike(block: nn.Module) -> bool:
    """Whether nothing sees a second run: hooks would, and what somebody put into the block may."""
    inner = (module for module in block.modules() if module is not block)
    return all(type(m) in _REPEATABLE and is_plain(m, type(m)) for m in inner)


class _State(AbstractContextManager[None]):
    """Gives a block the parameters, buffers and modes back that it had when this was made.

    So the second run equals the first, also after ``torch.func.functional_call`` or ``eval()``.
    Buffers are copies: what the second run adds to running statistics is forgotten.
    """

    def __init__(self, block: nn.Module) -> None:
        self.modules = list(block.modules())
        self.first = [
            (
                module.training,
                dict(module._parameters),
                {name: None if b is None else b.clone() for name, b in module._buffers.items()},
            )
            for module in self.modules
        ]
        self.before: list[Any] = []

    def __enter__(self) -> None:
        _ONE_RUN.acquire()
        self.before = [(m.training, m._parameters, m._buffers) for m in self.modules]
        self._set(self.first)

    def __exit__(self, *_: object) -> None:
        self._set(self.before)
        _ONE_RUN.release()

    def _set(self, states: Sequence[Any]) -> None:
        for module, (training, parameters, buffers) in zip(self.modules, states, strict=True):
            module.training, module._parameters, module._buffers = training, parameters, buffers
