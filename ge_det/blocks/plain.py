"""What a fast path may assume of a module whose weights it reads instead of calling it.

Whoever computes with a module's weights by itself passes by everything else that a call would do:
hooks, a ``forward`` that was patched, parametrised, quantised or wrapped, weights that are no plain
tensors, and geometry that the fast path does not have. All of that is asked here, once; where the
answer is no, the module is called.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

_Pair = tuple[int, int]

# Names of what a call of each class may run. Kept, since `torch.compile` can list the attributes of
# neither a module nor a class.
_METHODS: dict[type, tuple[str, ...]] = {}


def note_methods(kind: type) -> None:
    """Keep what a call of a class may run, for :func:`is_plain` under ``torch.compile``."""
    own = kind.__mro__[: kind.__mro__.index(nn.Module)] if issubclass(kind, nn.Module) else ()
    found = {name for parent in own for name, value in vars(parent).items() if callable(value)}
    _METHODS[kind] = (*sorted(found), 'forward', '_call_impl', '_wrapped_call_impl')


def as_torch_has_it(method: Callable[..., Any]) -> Callable[..., Any] | None:
    """A method of a class of torch, where no one has put another in its place; else None."""
    code = getattr(method, '__code__', None)
    is_torchs = code is not None and code.co_filename.startswith(os.path.dirname(torch.__file__))
    return method if is_torchs else None


def as_its_library_has_it(kind: type[nn.Module]) -> Callable[..., Any] | None:
    """The ``forward`` of anybody's class, where no one has put another in its place; else None."""
    home = next(parent for parent in kind.__mro__ if 'forward' in vars(parent))
    code = getattr(kind.forward, '__code__', None)
    file = getattr(sys.modules.get(home.__module__), '__file__', None)
    return kind.forward if code is not None and code.co_filename == file else None


# What a call runs; of a class's methods, a patch of these alone is seen.
_KNOWN: dict[type, tuple[object, object]] = {
    kind: (as_torch_has_it(kind.forward), as_torch_has_it(kind.__call__))
    for kind in (nn.Conv2d, nn.BatchNorm2d, nn.SyncBatchNorm, nn.ReLU, nn.Identity)
}
for _kind in _KNOWN:
    note_methods(_kind)


def is_plain(module: nn.Module, kind: type[nn.Module], known_hooks: int = 0) -> bool:
    """Whether calling a module does what its class does: no subclass, no hooks, no patch.

    Args:
        module (nn.Module): Any module.
        kind (type): The class it is to be of.
        known_hooks (int): How many forward hooks the caller knows, and sees to itself.
    """
    if type(module) is not kind or _is_patched(kind):
        return False
    if kind not in _METHODS:
        if torch.compiler.is_compiling():
            return False
        note_methods(kind)
    hooks = (
        len(module._forward_hooks) > known_hooks,
        module._forward_pre_hooks,
        module._backward_hooks,
        module._backward_pre_hooks,
    )
    patched = any(name in module.__dict__ for name in _METHODS[kind])
    return not any(hooks) and not patched and _has_plain_tensors(module)


def _is_patched(kind: type[nn.Module]) -> bool:
    forward, call = _KNOWN.get(kind, (kind.forward, kind.__call__))
    return kind.forward is not forward or kind.__call__ is not call


def _has_plain_tensors(module: nn.Module) -> bool:
    """Whether parameters and buffers are dense tensors, and what the attributes of their names are.

    Quantised and distributed ones are not dense, parametrised and pruned ones are computed.
    """
    if 'parametrizations' in module._modules:
        return False
    tensors = (*module._parameters.values(), *module._buffers.values())
    return all(tensor is None or type(tensor) in (nn.Parameter, Tensor) for tensor in tensors)


def is_convolution(
    module: nn.Module,
    *,
    kernel: _Pair,
    stride: _Pair | None = None,
    padding: _Pair = (0, 0),
    depthwise: bool = False,
) -> TypeGuard[nn.Conv2d]:
    """Whether a module is torch's Conv2d with this geometry, zeros as padding, no dilation.

    The bias is not asked for: who reads the weight adds it. Geometry is that of the weight and of
    what ``forward`` uses, which pruning may have changed behind ``kernel_size`` and the channels.

    Args:
        module (nn.Module): Any module.
        kernel (tuple[int, int]): Height and width of the kernel.
        stride (tuple[int, int], optional): Defaults to None, any.
        padding (tuple[int, int]): Defaults to none.
        depthwise (bool): Whether each channel has its own kernel, instead of all of them one
            matrix. Defaults to False.

    Returns:
        bool: Whether the weight says all there is to know, but for a bias.
    """
    if not is_plain(module, nn.Conv2d) or not isinstance(module, nn.Conv2d):
        return False
    channels, channels_each, *size = module.weight.shape
    found_padding = (0, 0) if module.padding == 'valid' else module.padding
    return (
        tuple(size) == kernel
        and stride in (None, tuple(module.stride))
        and tuple(found_padding) == padding
        and (padding == (0, 0) or module.padding_mode == 'zeros')
        and (kernel == (1, 1) or tuple(module.dilation) == (1, 1))
        and (module.groups == channels and channels_each == 1 if depthwise else module.groups == 1)
    )


def first_dtype(module: nn.Module) -> torch.dtype | None:
    """Floating dtype that a module computes in: of its first such parameter, None without one."""
    for parameter in module.parameters():
        if parameter.is_floating_point():
            return parameter.dtype
    return None
