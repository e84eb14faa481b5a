"""Gates that their weights make constants, and that need not be computed for it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from ge_det.ops.gradients import wants_gradient
from ge_det.ops.tracing import is_traced

from .plain import is_plain
from .start import Start

# Who overrides one of these in a subclass may have another gate than `make_constant` knows.
_ANSWERS = ('forward', 'gate', 'coarse_gate', 'gate_from_narrow', 'gate_from_wide')

# A tensor, where its values lie, and how often they were written to.
_State = tuple[Tensor, int, int]


def constant_of(gate: nn.Module) -> Tensor | None:
    """The value of a gate that is constant now, (C,); None if it depends on its input."""
    return _constant_of(gate) if isinstance(gate, Start) and _is_plain(gate) else None


def _is_plain(gate: nn.Module) -> bool:
    return all(is_plain(module, type(module)) for module in gate.modules())


@torch.no_grad()
def _constant_of(gate: Start) -> Tensor | None:
    if not _is_own_constant(type(gate)):
        return None
    copy = deepcopy(gate)
    constant = copy.make_constant()
    if constant is None:
        return None
    pairs = zip(gate.state_dict().values(), copy.state_dict().values(), strict=True)
    return constant if all(torch.equal(a, b) for a, b in pairs) else None


class MayBeConstant(Start):
    """A gate that notes when it is a constant, for as long as nobody touches it.

    Where fresh gates freeze with their stage they never leave the constant that they start as.
    """

    _noted: tuple[Tensor | None, list[_State]] | None = None

    def note_constant(self, anew: bool = True) -> None:
        """See whether the gate is a constant now; what it computes does not change.

        Args:
            anew (bool): Look even if nothing seems to have changed: writes past autograd, as
                through ``.data``, are not seen otherwise. Defaults to True.
        """
        if not anew and self._noted is not None and _is_as_noted(self._noted[1], self._tensors()):
            return
        self._noted = None
        if self._can_be_read():
            with torch.inference_mode(False), torch.no_grad():
                value = _constant_of(self)
                value = None if value is None else value.detach().clone().view(1, -1, 1, 1)
            self._noted = value, [(t, t.data_ptr(), t._version) for t in self._tensors()]

    def forget_constant(self) -> None:
        """Compute the gate whatever its weights are."""
        self._noted = None

    def known_constant(self) -> Tensor | None:
        """The gate as one value a channel, (1, C, 1, 1).

        Returns:
            Tensor | None: None unless :meth:`note_constant` found one, the gate and its weights are
            as they were, and no gradient is wanted of them; and where the network is compiled,
            traced or captured, which would keep the constant when the weights are others.
        """
        if torch.compiler.is_compiling() or self._noted is None or self._noted[0] is None:
            return None
        value, states = self._noted
        tensors = self._tensors()
        if not _is_as_noted(states, tensors) or is_traced() or not self._can_be_read():
            return None
        if wants_gradient(*tensors):
            return None
        if tensors[0].is_cuda and torch.cuda.is_current_stream_capturing():
            return None
        return value

    def _can_be_read(self) -> bool:
        """Whether the gate is what its weights say: no hooks, no patches, tensors with values."""
        tensors = self._tensors()
        if not tensors or any(tensor.is_meta or tensor.is_inference() for tensor in tensors):
            return False
        return _is_plain(self)

    def _tensors(self) -> list[Tensor]:
        return [*self.parameters(), *self.buffers()]


def _is_own_constant(kind: type) -> bool:
    """Whether no subclass has changed the gate below the class that knows its constant."""
    known, *places = (
        next(
            (i for i, parent in enumerate(kind.__mro__) if name in vars(parent)), len(kind.__mro__)
        )
        for name in ('make_constant', *_ANSWERS)
    )
    return all(known <= place for place in places)


def _is_as_noted(states: Sequence[_State], tensors: Sequence[Tensor]) -> bool:
    """Whether the tensors are those noted, and nobody has written into them since."""
    if len(states) != len(tensors):
        return False
    if any(noted is not tensor for (noted, *_), tensor in zip(states, tensors, strict=True)):
        return False
    return all((t.data_ptr(), t._version) == (where, version) for t, where, version in states)
