"""The end of a residual unit in one pass: affine, gate, residual addition and ReLU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ge_det.ops.cells import upsample_nearest
from ge_det.ops.layout import empty_dense
from ge_det.ops.tracing import needs_torchs_operators
from ge_det.ops.triton_tools import runtime

from . import eager


def apply_gate(x: Tensor, gate: Tensor, broadcasts: bool = False) -> Tensor:
    """``x * up(gate)`` without a product or an expanded gate kept for the backward pass.

    Args:
        x (Tensor): Features (N, C, H, W).
        gate (Tensor): (N, G, h, w), G a divisor of C, as in :func:`gated_residual`.
        broadcasts (bool): Whether it needs no up-sampling, see
            :func:`~ge_det.ops.cells.upsample_nearest`. Defaults to False.

    Returns:
        Tensor: (N, C, H, W) of the dtype of ``x``.
    """
    if needs_torchs_operators():
        return _product(x, gate, broadcasts)
    return torch.ops.ge_det.gated_residual(x, None, gate, None, None)


def gated_residual(
    y: Tensor,
    identity: Tensor,
    gate: Tensor,
    scale: Tensor | None = None,
    shift: Tensor | None = None,
) -> Tensor:
    """relu(identity + up(gate) * (scale * y + shift)).

    Args:
        y (Tensor): Features (N, C, H, W), such as the output of a unit's last convolution.
        identity (Tensor): What the unit adds them to, (N, C, H, W).
        gate (Tensor): (N, G, h, w), G a divisor of C. Channel c reads gate channel c // (C/G),
            position (i, j) cell (floor(ih/H), floor(jw/W)).
        scale (Tensor, optional): Per-channel factor (C,) in the dtype of the statistics, float32
            for half-precision features. Given together with ``shift`` or not at all.
        shift (Tensor, optional): Per-channel summand (C,).

    Returns:
        Tensor: (N, C, H, W) of the dtype of ``y``. Not twice differentiable.
    """
    return torch.ops.ge_det.gated_residual(y, identity.to(y.dtype).expand_as(y), gate, scale, shift)


def gated_residual_(y: Tensor, identity: Tensor, gate: Tensor) -> Tensor:
    """relu(identity + up(gate) * y) in the place of ``y``, where no gradient is wanted.

    Of a large fresh map, each page costs a CPU more than its copy.

    Args:
        y (Tensor): (N, C, H, W), dense in memory and on a CPU.
        identity (Tensor): (N, C, H, W).
        gate (Tensor): (N, G, h, w), as in :func:`gated_residual`.

    Returns:
        Tensor: ``y``.
    """
    torch.ops.ge_det.gated_residual_(y, identity.to(y.dtype).expand_as(y), gate)
    return y


def full_gate(gate: Tensor, x: Tensor, broadcasts: bool = False) -> Tensor:
    """A gate (N, G, h, w) broadcastable to ``x`` (N, C, H, W); see :func:`apply_gate`."""
    gate = upsample_nearest(gate, (x.shape[2], x.shape[3]), broadcasts)
    groups = gate.shape[1]
    if groups == x.shape[1]:
        return gate
    return gate[:, :, None].expand(-1, -1, x.shape[1] // groups, -1, -1).flatten(1, 2)


def _product(x: Tensor, gate: Tensor, broadcasts: bool) -> Tensor:
    """:func:`apply_gate` in torch's own operators; the gate of a group is not written out."""
    gate = upsample_nearest(gate, (x.shape[2], x.shape[3]), broadcasts)
    groups = gate.shape[1]
    if groups == x.shape[1]:
        return x * gate
    n, channels, height, width = x.shape
    grouped = x.reshape(n, groups, channels // groups, height, width)
    return (grouped * gate[:, :, None]).reshape(x.shape)


@torch.library.custom_op('ge_det::gated_residual', mutates_args=())
def _gated_residual(
    y: Tensor,
    identity: Tensor | None,
    gate: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
) -> Tensor:
    arguments = (y, identity, gate, scale, shift)
    return runtime.run('gated_residual.forward', eager.forward, *arguments)


@torch.library.custom_op('ge_det::gated_residual_', mutates_args=('y',))
def _gated_residual_in_place(y: Tensor, identity: Tensor, gate: Tensor) -> None:
    eager.overwrite(y, identity, gate)


@torch.library.custom_op('ge_det::gated_residual_backward', mutates_args=())
def _gated_residual_backward(
    grad_out: Tensor,
    out: Tensor | None,
    y: Tensor,
    gate: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    arguments = (grad_out, out, y, gate, scale, shift)
    gradients = runtime.run('gated_residual.backward', eager.backward, *arguments)
    d, grad_y, grad_gate, a, b = (y.new_empty(0) if g is None else g for g in gradients)
    return d, grad_y, grad_gate.contiguous(), a, b


@_gated_residual.register_fake
def _(
    y: Tensor,
    identity: Tensor | None,
    gate: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
) -> Tensor:
    return empty_dense(y)


@_gated_residual_in_place.register_fake
def _(y: Tensor, identity: Tensor, gate: Tensor) -> None:
    return None


@_gated_residual_backward.register_fake
def _(
    grad_out: Tensor,
    out: Tensor | None,
    y: Tensor,
    gate: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    none = y.new_empty(0)
    return (
        none if out is None else empty_dense(out),
        empty_dense(y),
        torch.empty_like(gate, memory_format=torch.contiguous_format),
        none if scale is None else torch.empty_like(scale),
        none if shift is None else torch.empty_like(shift),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    y, identity, gate, scale, shift = inputs
    ctx.save_for_backward(None if identity is None else output, y, gate, scale, shift)


def _differentiate(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
    out, y, gate, scale, shift = ctx.saved_tensors
    gradients = torch.ops.ge_det.gated_residual_backward(grad_out, out, y, gate, scale, shift)
    d, grad_y, grad_gate, grad_scale, grad_shift = gradients
    return (
        grad_y,
        None if out is None else d,
        grad_gate,
        None if scale is None else grad_scale,
        None if shift is None else grad_shift,
    )


_gated_residual.register_autograd(_differentiate, setup_context=_save)
