"""Whether the operators of this package may appear in the graph."""

import torch


def is_traced() -> bool:
    """Whether the graph is being written down for other software, which knows torch's ops only.

    That is so in ``torch.jit.trace``, which exporters and FLOP counters use, and in
    ``torch.export``.
    """
    return torch.jit.is_tracing() or torch.compiler.is_exporting()  # type: ignore[attr-defined]
