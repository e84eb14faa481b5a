"""The cores of this machine that a process may use."""

from __future__ import annotations

import os


def cores() -> list[int]:
    """Their numbers; all of the machine's where the system does not tell, as on macOS."""
    if hasattr(os, 'sched_getaffinity'):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(process: int, chosen: list[int]) -> None:
    """Keep a process on some cores, where the system can."""
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(process, chosen)
