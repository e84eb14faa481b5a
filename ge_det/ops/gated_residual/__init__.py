"""The end of a residual unit in one pass: affine, gate, residual addition and ReLU."""

from .op import apply_gate, full_gate, gated_residual, gated_residual_

__all__ = ['apply_gate', 'full_gate', 'gated_residual', 'gated_residual_']
