"""Times as the user gives them, and as they are told."""

from __future__ import annotations

import math
import re

from ge_det.errors import UserError

_TIME = re.compile(r'(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?')


def parse_minutes(text: str) -> float:
    """Minutes of a time such as ``20m``, ``2h`` or ``1h30m``.

    Raises:
        UserError: If it is none, or is below a minute or above 30 days.
    """
    found = _TIME.fullmatch(text.strip().lower())
    minutes = 60 * float(found[1] or 0) + float(found[2] or 0) if found else 0.0
    if not 1 <= minutes <= 30 * 24 * 60:
        raise UserError(f'--time {text}: give a time such as 20m or 2h, from 1m to 720h')
    return minutes


def told_minutes(value: float) -> str:
    """A time for readers, such as ``'about 28 minutes'`` or ``'about 3.5 hours'``."""
    if value < 1.5:
        return 'about a minute'
    return f'about {value:.0f} minutes' if value < 100 else f'about {value / 60:.1f} hours'


def duration(seconds: float) -> str:
    """A time for tables, such as ``'40 s'``, ``'12 min'`` and ``'3.5 h'``."""
    if seconds < 100:
        return f'{seconds:.0f} s'
    return f'{seconds / 60:.0f} min' if seconds < 5400 else f'{seconds / 3600:.1f} h'


def flag_of_minutes(value: float) -> str:
    """A time as ``--time`` takes it, such as ``'28m'`` or ``'3.5h'``."""
    return f'{max(1, round(value))}m' if value < 100 else f'{round(value / 60, 1):g}h'


def round_up(value: float) -> float:
    """Minutes as one would ask for: a multiple of five, of a quarter of an hour, or of hours."""
    step = next(step for most, step in ((30, 5), (90, 15), (math.inf, 60)) if value <= most)
    return step * math.ceil(value / step)
