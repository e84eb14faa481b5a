"""Whether the operators of this package may appear in the graph."""

import torch


def is_traced() -> bool:
    """Whether the graph is being written down for other software, which knows torch's ops only.

    That is so in ``torch.jit.trace``, which exporters and FLOP counters use, and in
    ``torch.export``.
    """
    # Not torch.compiler.is_exporting(): up to torch 2.11 `torch.compile` answers True there.
    exporting = getattr(torch.compiler, '_is_exporting_flag', None)
    if exporting is None:
        exporting = torch.compiler.is_exporting()
    return exporting or torch.jit.is_tracing()  # type: ignore[attr-defined]
