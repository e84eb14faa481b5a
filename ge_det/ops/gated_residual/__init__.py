"""The end of a residual unit in one pass: affine, gate, residual addition and ReLU."""

from .op import apply_gate, full_gate, gated_residual

__all__ = ['apply_gate', 'full_gate', 'gated_residual']
