"""Gates that their weights make constants, and that need not be computed for it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ge_det.ops.tracing import is_traced

from .start import Start


@torch.no_grad()
def constant_of(gate: nn.Module) -> Tensor | None:
    """The value of a gate that is constant now, (C,); None if it depends on its input."""
    copy = deepcopy(gate)
    constant = copy.make_constant() if isinstance(copy, Start) else None
    if constant is None:
        return None
    pairs = zip(gate.state_dict().values(), copy.state_dict().values(), strict=True)
    return constant if all(torch.equal(a, b) for a, b in pairs) else None


class MayBeConstant(Start):
    """A gate that notes when it is a constant, until somebody touches its weights.

    Where fresh gates freeze with their stage they never leave the constant that they start as.
    """

    _noted: tuple[Tensor, list[tuple[int, int]]] | None = None

    def note_constant(self) -> None:
        """See whether the gate is a constant now; what it computes does not change."""
        self._noted = None
        tensors = self._tensors()
        if all(type(t) in (nn.Parameter, Tensor) and not t.is_meta for t in tensors):
            value = None if any(t.is_inference() for t in tensors) else constant_of(self)
            if value is not None:
                self._noted = value.detach().view(1, -1, 1, 1), _versions(tensors)

    def known_constant(self) -> Tensor | None:
        """The gate as one value a channel, (1, C, 1, 1).

        Returns:
            Tensor | None: None unless :meth:`note_constant` found one, its weights are as they were
            and no gradient is wanted of them; and where the network is compiled or traced, which
            would keep the constant when the weights are others.
        """
        if torch.compiler.is_compiling() or self._noted is None or is_traced():
            return None
        value, versions = self._noted
        tensors = self._tensors()
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return None
        return value if versions == _versions(tensors) else None

    def _tensors(self) -> list[Tensor]:
        return [*self.parameters(), *self.buffers()]

    def _apply(self, fn: Callable[..., Any], *args: Any) -> Any:
        self._noted = None  # It is neither a parameter nor a buffer, and would stay behind.
        return super()._apply(fn, *args)


def _versions(tensors: list[Tensor]) -> list[tuple[int, int]]:
    """What changes whenever somebody writes into a tensor or puts another in its place."""
    return [(t.data_ptr(), -1 if t.is_inference() else t._version) for t in tensors]
