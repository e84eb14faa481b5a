"""Fused execution of the end of a residual unit, whoever wrote the unit."""

from .fused import ConvNormGate, finish_unit
from .plan import UnitPlan, describe, obstacle
from .unit import FusedUnit

__all__ = ['ConvNormGate', 'FusedUnit', 'UnitPlan', 'describe', 'finish_unit', 'obstacle']
