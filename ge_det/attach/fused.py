"""Units of other libraries whose end runs fused.

A unit that carries a gate becomes an instance of a subclass of its own class, made here, whose
``forward`` does what the library's does, or runs the library's where anything stands against that.
Nothing else of it changes: it is what it was to ``isinstance``, ``copy`` and ``pickle`` find the
class again, and whoever puts a ``forward`` into the unit itself still has the last word.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import torch.utils.checkpoint as cp
from torch import Tensor, nn

from ge_det.blocks.plain import as_its_library_has_it, is_plain
from ge_det.execution import ConvNormGate, FusedUnit, finish_unit, obstacle
from ge_det.execution.norms import has_affine, note_norm

from .hook import GateHook, gate_of
from .units import Tail, Unit


def fuse(unit: Unit, gate: str) -> None:
    """Let a unit run fused from now on, where it can.

    Args:
        unit (Unit): A unit that carries its gate.
        gate (str): Name of the gate inside the unit.
    """
    module: Any = unit.module
    kind: Any = type(module)
    if unit.tail is None or isinstance(module, FusedUnit) or not as_its_library_has_it(kind):
        return
    if not issubclass(type(FusedLibraryUnit), type(kind)):  # No class can have both metaclasses.
        return
    module.__class__ = _fused_class(kind, unit.tail, gate)
    note_norm(type(unit.norm))


def unfuse(module: nn.Module) -> None:
    """Undo :func:`fuse`; a module that it did not change stays as it is."""
    own: Any = module
    if isinstance(module, FusedLibraryUnit) and _is_ours(own):  # Not a class on top of it.
        own.__dict__.pop('fused', None)
        own.__class__ = own._library


class FusedLibraryUnit(FusedUnit, nn.Module):
    """What the subclasses add to the classes of libraries; see :func:`fuse`."""

    _library: ClassVar[Any]
    _forwards: ClassVar[tuple[Any]]  # In a tuple, since it is no method here.
    _tail: ClassVar[Tail]
    _gate: ClassVar[str]
    _known: ClassVar[frozenset[str]]

    def forward(self, x: Tensor) -> Tensor:
        """As the library's unit."""
        # Who traces symbolically passes something that is no tensor.
        if not isinstance(x, Tensor) or self.why_not_fused() is not None or x.numel() == 0:
            out: Tensor = super().forward(x)
            return out
        if getattr(self, 'with_cp', False) and x.requires_grad:  # OpenMMLab's
            return cp.checkpoint(self._fused_forward, x, use_reentrant=False)
        return self._fused_forward(x)

    def _fused_forward(self, x: Tensor) -> Tensor:
        u = x
        for name in self._tail.before:
            u = getattr(self, name)(u)
        shortcut = getattr(self, self._tail.shortcut)
        return finish_unit(u, x if shortcut is None else shortcut(x), self.tail())

    def tail(self) -> ConvNormGate:
        """The modules of the unit's end; a hook of the normalisation applies the gate."""
        conv, norm = getattr(self, self._tail.conv), getattr(self, self._tail.norm)
        return ConvNormGate(conv, norm, getattr(self, self._gate), gate_hooks=1)

    def why_not_fused(self) -> str | None:
        """Why the unit has to run its modules one after another; None if it need not."""
        if not self.fused:
            return 'fused=False'
        if 'forward' in self.__dict__ or self._library.forward not in self._forwards:
            return 'its forward was replaced'
        for name, child in self._modules.items():
            if name not in self._known and child is not None and not is_plain(child, nn.Identity):
                return f'it has a module of its own in `{name}`, {type(child).__name__}'
        tail = self.tail()
        hooks = list(tail.norm._forward_hooks.values())
        if not hooks:
            return 'its last normalisation was replaced; it has its gate again when the unit runs'
        if (
            len(hooks) != 1
            or not isinstance(hooks[0], GateHook)
            or gate_of(tail.norm) is not tail.gate
        ):
            return 'its last normalisation has another hook than that of the gate'
        if not has_affine(tail.norm, tail.gate_hooks):
            return f'its last normalisation ({type(tail.norm).__name__}) has to be called'
        return obstacle(tail, getattr(self, self._tail.relu))

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        note_norm(type(self.tail().norm))

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        reduced: Any = super().__reduce_ex__(protocol)
        if not _is_ours(self):
            return reduced
        return (_new, (self._library, self._tail, self._gate), *reduced[2:])


@functools.cache
def _fused_class(library: Any, tail: Tail, gate: str) -> type[FusedLibraryUnit]:
    """The subclass of a library's class for units with such an end."""
    namespace = dict(
        __doc__=library.__doc__,
        __module__=__name__,
        _library=library,
        _forwards=(library.forward,),
        _tail=tail,
        _gate=gate,
        _known=frozenset((*tail.before, *tail[1:], gate)),
    )
    return type(library.__name__, (FusedLibraryUnit, library), namespace)


def _is_ours(unit: FusedLibraryUnit) -> bool:
    """Whether nobody has made a subclass of the class that was made here."""
    return type(unit) is _fused_class(unit._library, unit._tail, unit._gate)


def _new(library: Any, tail: Tail, gate: str) -> FusedLibraryUnit:
    """An instance without a state, for ``copy`` and ``pickle``."""
    kind = _fused_class(library, tail, gate)
    return kind.__new__(kind)
