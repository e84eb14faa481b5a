"""Whether the operators of this package may appear in the graph."""

from collections.abc import Callable

import torch

# From torch 2.7 on.
_is_exporting: Callable[[], bool] = getattr(torch.compiler, 'is_exporting', lambda: False)


def is_traced() -> bool:
    """Whether the graph is being written down for other software, which knows torch's ops only.

    That is so in ``torch.jit.trace``, which exporters and FLOP counters use, and in
    ``torch.export``.
    """
    return torch.jit.is_tracing() or _is_exporting()  # type: ignore[attr-defined]
