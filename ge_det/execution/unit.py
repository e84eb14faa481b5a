"""A residual unit that decides, each time it runs, whether its end runs fused."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod

from .fused import ConvNormGate
from .plan import UnitPlan, describe


# Not from ABC, beside whose layout an instance of a library could not become one of a subclass.
class FusedUnit(metaclass=ABCMeta):
    """A residual unit whose end may run fused.

    Attributes:
        fused (bool): Whether it may.
    """

    fused = True

    @abstractmethod
    def tail(self) -> ConvNormGate:
        """The modules of the unit's end, where a gate stands that may run fused."""

    @abstractmethod
    def why_not_fused(self) -> str | None:
        """Why the unit has to run its modules one after another; None if it need not."""

    def plan(self, name: str) -> UnitPlan:
        """How the unit runs in the present mode.

        Args:
            name (str): Of the unit.
        """
        why = self.why_not_fused()
        if why is not None:
            return UnitPlan(name, 'modules', why)
        return UnitPlan(name, 'fused', describe(self.tail()))
