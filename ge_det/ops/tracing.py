"""Whether the operators of this package may be called, or torch's own have to do."""

import sys

import torch
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack


def needs_torchs_operators() -> bool:
    """Whether what runs is traced, or transformed in a way that ours have no formulas for."""
    return is_traced() or is_transformed()


def is_transformed() -> bool:
    """Whether ``torch.func`` changes what runs, or forward-mode differentiation is on.

    Second derivatives by autograd are not seen beforehand.
    """
    if torch.compiler.is_compiling():
        return False
    return forward_ad._current_level >= 0 or bool(torch._C._functorch.get_interpreter_stack())


def is_traced() -> bool:
    """Whether somebody writes down what runs who knows torch's own operators only.

    That is so in ``torch.jit.trace``, which exporters and FLOP counters use, in ``torch.export``,
    and under PyTorch's ``FlopCounterMode``.
    """
    return _is_exporting() or torch.jit.is_tracing() or _is_counted()  # type: ignore[attr-defined]


def is_exported() -> bool:
    """Whether what runs is written down for sizes that stay open, where torch's pooling binds."""
    return _is_exporting() or torch.onnx.is_in_onnx_export()


def _is_exporting() -> bool:
    # Not torch.compiler.is_exporting(): up to torch 2.11 `torch.compile` answers True there.
    exporting = getattr(torch.compiler, '_is_exporting_flag', None)
    return torch.compiler.is_exporting() if exporting is None else bool(exporting)


def _is_counted() -> bool:
    if torch.compiler.is_compiling():
        return False
    counter = sys.modules.get('torch.utils.flop_counter')  # It is slow to import.
    if counter is None:
        return False
    kind = getattr(counter, '_FlopCounterMode', ())
    return any(isinstance(mode, kind) for mode in _get_current_dispatch_mode_stack())
