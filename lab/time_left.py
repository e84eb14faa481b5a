"""How long something still takes, by its speed so far."""

from __future__ import annotations

import time
from datetime import timedelta


class TimeLeft:
    """A clock that starts when it is made."""

    def __init__(self) -> None:
        self._begin = time.monotonic()

    def of(self, gained: int, rest: int) -> timedelta | None:
        """Time that the rest takes, to the second, after so much has been gained; None after none.

        Args:
            gained (int): Iterations since the start.
            rest (int): Iterations to come.
        """
        if gained <= 0:
            return None
        return timedelta(seconds=int(rest * (time.monotonic() - self._begin) / gained))
