"""A normalisation as one factor and one summand a channel, where it hides nothing else."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import BatchNorm2d, SyncBatchNorm, _BatchNorm

from ge_det.blocks.plain import as_its_library_has_it, as_torch_has_it, is_plain, note_methods
from ge_det.ops.batch_statistics import batch_statistics, norm_affine
from ge_det.ops.expansion import affine, count_positions
from ge_det.ops.precision import statistics_dtype

# Who patches the class means it.
_FORWARDS = (as_torch_has_it(BatchNorm2d.forward), as_torch_has_it(SyncBatchNorm.forward))

# Batch normalisation that never learns, whose weights are buffers, ends in one of these names; each
# model of transformers has a class of its own.
_FROZEN_OF = ('torchvision', 'timm', 'transformers')
_FROZEN_NAMES = ('FrozenBatchNorm2d', 'FrozenBatchNormAct2d')
_BUFFERS = {'weight', 'bias', 'running_mean', 'running_var'}

# The forward of each class that was looked at, None if it is no frozen one. Kept, since
# `torch.compile` cannot look.
_FROZEN_FORWARDS: dict[type, object] = {}


def has_affine(norm: nn.Module, known_hooks: int = 0) -> bool:
    """Whether a normalisation is known as (scale, shift), and so need not be called.

    Args:
        norm (nn.Module): Any module. Torch's own batch normalisation, of this process's values,
            and frozen ones of libraries are known, and so is what ``mmcv.cnn.fuse_conv_bn`` leaves.
        known_hooks (int): How many forward hooks the caller knows, and sees to itself.
    """
    if not is_plain(norm, type(norm), known_hooks):
        return False
    if not isinstance(norm, _BatchNorm):
        return is_absent(norm) or is_frozen(norm)
    if norm.running_mean is None or norm.running_var is None:
        return False
    if isinstance(norm, SyncBatchNorm) and norm.training:
        return False
    return type(norm).forward in _FORWARDS and type(norm).__call__ is nn.Module.__call__


def is_absent(norm: nn.Module) -> bool:
    """Whether there is no normalisation any more, as after ``mmcv.cnn.fuse_conv_bn``."""
    return type(norm) is nn.Identity


def is_frozen(norm: nn.Module) -> bool:
    """Whether a normalisation is a library's frozen one, without an activation."""
    kind = type(norm)
    if kind not in _FROZEN_FORWARDS:
        if torch.compiler.is_compiling():
            return False
        note_norm(kind)
    forward = _FROZEN_FORWARDS[kind]
    if forward is None or kind.forward is not forward or kind.__call__ is not nn.Module.__call__:
        return False
    return all(is_plain(module, nn.Identity) for module in norm.children())


def note_norm(kind: type[nn.Module]) -> None:
    """Look at the class of a normalisation, for :func:`has_affine` under ``torch.compile``."""
    is_library = kind.__module__.partition('.')[0] in _FROZEN_OF
    is_tried = is_library and kind.__name__.endswith(_FROZEN_NAMES) and _is_fixed_affine(kind)
    _FROZEN_FORWARDS[kind] = as_its_library_has_it(kind) if is_tried else None
    note_methods(kind)


@torch.no_grad()
def _is_fixed_affine(kind: Any) -> bool:
    """Whether a class of frozen normalisation does what :func:`fixed_affine` says, tried out."""
    try:
        with torch.device('cpu'):
            norm = kind(3).double()
            for name, _ in norm.named_children():
                setattr(norm, name, nn.Identity())
            for number, buffer in enumerate(norm.buffers(), 1):
                buffer.copy_(torch.arange(1, 4) * 1e-5 * number)  # The eps counts beside these.
            x = torch.linspace(-1, 1, 24, dtype=torch.float64).view(2, 3, 2, 2)
            expected = affine(x, *fixed_affine(norm))
            outputs = [norm.train(mode)(x) for mode in (True, False)]
    except Exception:  # Another class than it was.
        return False
    are_alike = all(torch.allclose(out, expected, rtol=1e-9, atol=0) for out in outputs)
    return are_alike and {name for name, _ in norm.named_buffers()} == _BUFFERS


def takes_batch_statistics(norm: nn.Module) -> bool:
    """Whether a normalisation that has an affine takes it from the batch."""
    return isinstance(norm, _BatchNorm) and norm.training


def normalised_dtype(norm: nn.Module, y: Tensor) -> torch.dtype:
    """The dtype that a normalisation which has an affine puts out.

    A frozen one multiplies, as anybody does: under autocast its float32 weights make bfloat16
    features float32.
    """
    if is_absent(norm) or isinstance(norm, _BatchNorm):
        return y.dtype
    return torch.promote_types(y.dtype, cast(Tensor, norm.weight).dtype)


def affine_of(norm: nn.Module, y: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """(scale, shift) with z = scale * y + shift; None, None where z is y."""
    if is_absent(norm):
        return None, None
    if takes_batch_statistics(norm):
        return _batch_affine(cast(_BatchNorm, norm), y)
    return fixed_affine(norm)


def fixed_affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """(scale, shift) from the running statistics, in the dtype of statistics."""
    running_mean, running_var = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    dtype = statistics_dtype(running_mean)
    # Copies: a training step may update the statistics before this one is differentiated.
    mean, var = running_mean.to(dtype, copy=True), running_var.to(dtype, copy=True)
    # The frozen ones of transformers have no attribute for it.
    return norm_affine(*_weights(norm, mean), mean, var, getattr(norm, 'eps', 1e-5))


def _weights(norm: nn.Module, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias in the dtype of the mean, 1 and 0 where the normalisation has none."""
    weight, bias = cast('Tensor | None', norm.weight), cast('Tensor | None', norm.bias)
    return (
        torch.ones_like(mean) if weight is None else weight.to(mean.dtype),
        torch.zeros_like(mean) if bias is None else bias.to(mean.dtype),
    )


def _batch_affine(norm: _BatchNorm, y: Tensor) -> tuple[Tensor, Tensor]:
    """(scale, shift) from the statistics of the batch; updates the running ones as the module."""
    count = y.shape[0] * count_positions(y)
    if count < 2:
        norm(y)  # It raises.
    mean, var = batch_statistics(y)
    if norm.track_running_stats:
        _update_running(norm, mean.detach(), var.detach() * (count / (count - 1)))
    return norm_affine(*_weights(norm, mean), mean, var, norm.eps)


@torch.no_grad()
def _update_running(norm: _BatchNorm, mean: Tensor, unbiased_var: Tensor) -> None:
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    factor = norm.momentum
    if factor is None:  # the cumulative average, if there is a count to go by
        count = norm.num_batches_tracked
        factor = 0.0 if count is None else 1 / float(count)
    for running, value in ((norm.running_mean, mean), (norm.running_var, unbiased_var)):
        statistic = cast(Tensor, running)
        statistic.lerp_(value.to(statistic.dtype), factor)
