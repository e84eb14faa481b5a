"""Numbers that no network is made of: a file that holds them is refused, whoever reads it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ge_det.errors import CheckpointError
from ge_det.words import counted

# Norms of weights and variances of features square them in float32. What overflows there cannot be
# trained or normalised; a flipped top bit of an exponent lies far above, every real weight below.
LARGEST = math.sqrt(torch.finfo(torch.float32).max)

# What every layer of torch computes with as floating point.
_FLOATING = ('weight', 'bias', 'running_mean', 'running_var')
_NEVER_NEGATIVE = ('running_var', 'exp_avg_sq', 'max_exp_avg_sq')
# Logs rightly hold the infinite gradients that mixed precision skips.
_NO_WEIGHTS = ('meta', 'message_hub')
_DEEPEST = 8


def check_sound(content: Mapping[Any, Any], where: str) -> None:
    """Raise a CheckpointError if weights or the state of an optimizer are no numbers to use.

    Args:
        content (Mapping): A state dict, or a whole checkpoint of MMEngine.
        where (str): The file, for the message.

    Raises:
        CheckpointError: If a tensor is sparse, quantized or without content or elements, holds NaN,
            infinity, complex numbers, integers where a layer has floating point, values beyond
            :data:`LARGEST`, or negative variances; the message is one line, with the first
            tensor of each kind and how many there are.
    """
    if faults := find_faults(content):
        raise CheckpointError(
            f'{where}: {"; ".join(faults)}. Save or fetch it again; of a run that diverged, take '
            'an earlier checkpoint'
        )


def find_faults(content: Mapping[Any, Any], kinds: bool = True) -> list[str]:
    """What :func:`check_sound` objects to, a clause each kind; empty if all is well.

    Args:
        content (Mapping): As there.
        kinds (bool): Also tensors whose kind it objects to, such as complex ones, which a training
            can work with. Defaults to True.
    """
    count: Counter[str] = Counter()
    first: dict[str, str] = {}
    for name, value in _leaves(content):
        if found := (kinds and _fault_of_kind(name, value)) or _fault_of_value(name, value):
            kind, share = found
            count[kind] += 1
            first.setdefault(kind, f'{name!r} {kind}{share}')
    return [
        first[kind] + (f', as {counted(number - 1, "tensor")} more' if number > 1 else '')
        for kind, number in count.items()
    ]


def _leaves(
    content: Any, name: str = '', deepest: int = _DEEPEST
) -> Iterator[tuple[str, Tensor | float]]:
    """Tensors anywhere in ``content`` and numbers of an optimizer, with where they stand."""
    is_number = isinstance(content, float) and name.startswith('optimizer')
    if is_number or isinstance(content, Tensor):
        yield name, content
    elif deepest and isinstance(content, (Mapping, list, tuple)):
        pairs = content.items() if isinstance(content, Mapping) else enumerate(content)
        for key, value in pairs:
            if name or key not in _NO_WEIGHTS:
                yield from _leaves(value, f'{name}.{key}' if name else str(key), deepest - 1)


def _is_dense(value: Tensor) -> bool:
    return value.layout is torch.strided and not value.is_quantized and not value.is_meta


def _fault_of_kind(name: str, value: Tensor | float) -> tuple[str, str] | None:
    """What is wrong with a tensor, whatever its values."""
    last = name.rpartition('.')[2]
    if isinstance(value, float):
        return None
    if not _is_dense(value):
        return 'is sparse, quantized or without content; save dense tensors', ''
    if value.is_complex():
        return 'is complex', ''
    if last in _FLOATING and not value.is_floating_point():
        return f'is {str(value.dtype).removeprefix("torch.")}, not floating point', ''
    if last in _FLOATING and not value.numel():
        return 'is without elements', ''
    return None


def _fault_of_value(name: str, value: Tensor | float) -> tuple[str, str] | None:
    """What is wrong with the values of a tensor, and with how many."""
    last = name.rpartition('.')[2]
    if isinstance(value, float):
        # Some settings are infinite by design, such as growth_rate of D-Adaptation.
        is_setting = '.param_groups.' in name and not last.endswith('lr')
        is_good = math.isfinite(value) or (is_setting and math.isinf(value))
        return None if is_good else ('is NaN or infinite', '')
    if not _is_dense(value) or not value.is_floating_point() or not value.numel():
        return None
    value = value.detach()
    value = value.float() if value.dtype.itemsize < 4 else value  # Of float8, torch knows little.
    low, high = (float(bound) for bound in value.aminmax())
    lowest = 0.0 if last in _NEVER_NEGATIVE else -LARGEST
    # Masks of attention are infinite by design.
    if lowest <= low and high <= LARGEST or ('mask' in name and low <= high):
        return None
    for kind, wrong in (
        ('holds NaN', value.isnan()),
        ('holds infinity', value.isinf()),
        (f'holds more than {LARGEST:.1e}, whose square is infinite', value.abs() > LARGEST),
        ('holds negative variances', value < 0),
    ):
        if number := int(wrong.sum()):
            return kind, f' ({number} of {counted(value.numel(), "value")})'
    return None
