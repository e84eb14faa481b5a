"""Gate, affine, addition and ReLU at the end of a residual unit in one pass, and its gradients.

With the normalisation of the last convolution written as scale_c * y + shift_c:

    out = relu(identity + up(gate) * (scale_c * y + shift_c))

Plain PyTorch reads and writes the map once for each of the four operations.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ge_det.ops.layout import dense
from ge_det.ops.precision import statistics_dtype
from ge_det.ops.triton_tools.tiles import (
    MAX_POSITIONS,
    check_alike,
    check_map,
    empty_map,
    launch,
)

from .triton_cells import cells_backward, cells_forward
from .triton_flat import flat_backward, flat_forward
from .triton_plan import make_plan


@torch.no_grad()
def forward(
    y: Tensor,
    identity: Tensor | None,
    gate: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
) -> Tensor:
    """relu(identity + up(gate) * (scale * y + shift)).

    Position (i, j) of an (H, W) map reads cell (i * h // H, j * w // W) of its gate, and channel c
    reads gate channel c // (C // Gc).

    Args:
        y (Tensor): (N, C, H, W), float16, bfloat16, float32 or float64.
        identity (Tensor, optional): Like ``y``. Without it there is no ReLU either.
        gate (Tensor): (N, Gc, h, w), C divisible by Gc, any of these dtypes.
        scale (Tensor, optional): (C,); without it, and then without ``shift``, y stands alone.
        shift (Tensor, optional): (C,).

    Returns:
        Tensor: (N, C, H, W) of the dtype and memory format of ``y``. Computed in float32, or
        float64 for float64, and rounded once. NaN stays NaN.

    Raises:
        ValueError: If shapes, dtypes or devices do not fit together.
    """
    y, gate, scale, shift = _checked(y, gate, scale, shift)
    identity = None if identity is None else _like_y('identity', identity, y)
    out = torch.empty_like(y)
    if y.numel() > 0:
        plan = make_plan(y, gate)
        kernel = cells_forward if plan.kind == 'cells' else flat_forward
        tensors = (out, y, identity, gate, scale, shift)
        launch(kernel, plan.programs, y, *tensors, *plan.sizes, **plan.constants)
    return out


@torch.no_grad()
def backward(
    grad_out: Tensor,
    out: Tensor | None,
    y: Tensor,
    gate: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
) -> tuple[Tensor | None, Tensor, Tensor, Tensor | None, Tensor | None]:
    """Gradients of :func:`forward`; no atomics, so the same at every call.

    Args:
        grad_out (Tensor): Gradient of the output, like ``y``.
        out (Tensor, optional): The output; None if there was no identity.
        y (Tensor): As in the forward call, and so are ``gate``, ``scale`` and ``shift``.
        gate (Tensor): (N, Gc, h, w).
        scale (Tensor, optional): (C,).
        shift (Tensor, optional): (C,).

    Returns:
        tuple: Gradients of the identity (None without ``out``: it is ``grad_out``), of ``y``, of
        the gate, of scale and of shift (None without scale), each with the dtype and shape of what
        it belongs to; the first two in the memory format of ``y``. Sums are in float32, or float64
        for float64. As in torch, where the output is 0 no gradient passes.

    Raises:
        ValueError: If shapes, dtypes or devices do not fit together.
    """
    y, gate, scale, shift = _checked(y, gate, scale, shift)
    grad_out = _like_y('grad_out', grad_out, y)
    out = None if out is None else _like_y('out', out, y)
    d = None if out is None else torch.empty_like(y)
    grad_y = torch.empty_like(y)
    if y.numel() == 0:
        zeros = [None if s is None else torch.zeros_like(s) for s in (scale, shift)]
        return d, grad_y, torch.zeros_like(gate), zeros[0], zeros[1]
    plan = make_plan(y, gate)
    n, channels = y.shape[:2]
    grad_gate, partial = None, None
    if plan.kind != 'channel':
        # Cells are summed within channels only; a group shared by several is finished below.
        shared = plan.kind == 'cells' and gate.shape[1] < channels
        shape = (n, channels if shared else gate.shape[1], *gate.shape[2:])
        dtype = statistics_dtype(y) if shared else gate.dtype
        grad_gate = empty_map(gate, shape, dtype)
    if plan.kind == 'channel' or scale is not None:
        partial = y.new_empty((2, n, plan.parts, channels), dtype=statistics_dtype(y))
    kernel = cells_backward if plan.kind == 'cells' else flat_backward
    tensors = (d, grad_y, grad_gate, partial, grad_out, out, y, gate, scale, shift)
    launch(kernel, plan.programs, y, *tensors, *plan.sizes, **plan.constants)
    sums = None if partial is None else partial.sum(2)
    if grad_gate is None:
        assert sums is not None
        grad_gate = sums[1]
        if scale is not None and shift is not None:
            grad_gate = sums[0] * shift + sums[1] * scale
            sums = (sums.view(2, n, gate.shape[1], -1) * gate.flatten(2)).view_as(sums)
    if grad_gate.shape != gate.shape:
        grad_gate = grad_gate.reshape(n, gate.shape[1], -1, *gate.shape[2:]).sum(2)
    grad_gate = grad_gate.to(gate.dtype)
    if scale is None or shift is None or sums is None:
        return d, grad_y, grad_gate, None, None
    # Each in memory of its own: an operator must not return views of one tensor.
    grad_shift, grad_scale = sums[0].sum(0).to(shift.dtype), sums[1].sum(0).to(scale.dtype)
    return d, grad_y, grad_gate, grad_scale, grad_shift


def _checked(
    y: Tensor, gate: Tensor, scale: Tensor | None, shift: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """The tensors without gaps, if they fit together."""
    check_map('y', y)
    check_map('gate', gate)
    n, channels, height, width = y.shape
    groups, h, w = gate.shape[1:]
    if gate.shape[0] != n or gate.device != y.device or (y.numel() > 0 and not gate.numel()):
        raise ValueError(
            f'gate {tuple(gate.shape)} on {gate.device} does not cover y {tuple(y.shape)} on '
            f'{y.device}'
        )
    if groups and channels % groups:
        raise ValueError(f'{channels} channels cannot share {groups} gates; groups must be equal')
    if max(height * (h + 1), width * (w + 1)) > MAX_POSITIONS:
        raise ValueError(f'gate {tuple(gate.shape)} is too large for y {tuple(y.shape)}')
    if (scale is None) != (shift is None):
        raise ValueError('scale and shift belong together; give both or neither')
    for name, vector in (('scale', scale), ('shift', shift)):
        if vector is not None and (vector.shape != (channels,) or vector.device != y.device):
            raise ValueError(
                f'{name} must be ({channels},) on {y.device}, not {tuple(vector.shape)} on '
                f'{vector.device}'
            )
    return (
        dense(y, y),
        dense(gate, gate),
        None if scale is None else scale.contiguous(),
        None if shift is None else shift.contiguous(),
    )


def _like_y(name: str, x: Tensor, y: Tensor) -> Tensor:
    """``x`` in the memory format of ``y``."""
    check_alike(name, x, 'y', y)
    return dense(x, y)
