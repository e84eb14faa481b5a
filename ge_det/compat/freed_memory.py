"""Freed memory stays with the process, for the next tensor, where a CPU computes.

glibc hands what is larger than 32 MB back to the system as soon as it is freed, and the system
clears every page of the next tensor anew: at 800x1344, a third of the time of a ResNet-50. See
mallopt(3) on M_MMAP_MAX and M_TRIM_THRESHOLD.
"""

from __future__ import annotations

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # Their numbers in malloc.h.
_GPUS = ('/dev/nvidiactl', '/dev/kfd', '/dev/dxg')


def keep_freed_memory() -> bool:
    """Keep freed memory for the next tensor from now on; the process never shrinks then.

    Nothing is done beside a GPU, whose tensors lie elsewhere, nor where the user has set how memory
    is allocated (``MALLOC_..._``, ``GLIBC_TUNABLES``, ``LD_PRELOAD``), nor without glibc.

    Returns:
        bool: Whether it is kept.
    """
    if not sys.platform.startswith('linux') or _is_set_by_user() or any(map(os.path.exists, _GPUS)):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # Another C library.
        return False
    never, none = -1, 0
    return bool(mallopt(_TRIM_THRESHOLD, never) and mallopt(_MMAP_MAX, none))


def _is_set_by_user() -> bool:
    own = any(name.startswith('MALLOC_') and name.endswith('_') for name in os.environ)
    tuned = 'glibc.malloc' in os.environ.get('GLIBC_TUNABLES', '')
    return own or tuned or 'malloc' in os.environ.get('LD_PRELOAD', '')
