"""Tensors on a CPU lie on large pages, of which the system has to clear fewer, each faster.

The C library (glibc) hands a tensor of 32 MB and more back to the system as soon as it is freed,
and the system clears every page of the next one anew: at 800x1344, a third of the time of a
ResNet-50. To keep freed memory instead costs more: where pictures differ in size, it breaks into
pieces, and twice as much was held after 40 iterations.
"""

from __future__ import annotations

import os

VARIABLE = 'THP_MEM_ALLOC_ENABLE'
"""What torch's allocator on a CPU looks for, once, at the first large tensor of a process."""


def ask_for_large_pages() -> None:
    """Ask torch for large pages here and in the processes begun from here on.

    What the user has set stays. Only Linux has them, unless it is told not to.
    """
    os.environ.setdefault(VARIABLE, '1')


def are_asked_for() -> bool:
    """Whether torch was asked, by a command or by the user."""
    return os.environ.get(VARIABLE) == '1'
