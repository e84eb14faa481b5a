"""The score that detections must have."""

from __future__ import annotations

from ge_det.errors import UserError


def check_score_threshold(value: float, given_as: str = 'score_thr=') -> None:
    """Raise a UserError unless a value is a score; the message begins with what it was given as."""
    if not 0 <= value <= 1:
        raise UserError(f'{given_as}{value}: scores lie between 0 and 1')
