"""The trained detector that a command is given: a work dir, a checkpoint in it, or two files."""

from __future__ import annotations

from ge_det.weights.trained import Trained, find_trained

__all__ = ['Trained', 'find_trained']
