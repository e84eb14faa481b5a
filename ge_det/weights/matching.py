"""Compare a checkpoint's tensors with a backbone's, and say what does not fit and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

# Units in each stage, and whether they are bottlenecks, by depth.
_ARCHITECTURES = {
    (2, 2, 2, 2, False): 18,
    (3, 4, 6, 3, False): 34,
    (3, 4, 6, 3, True): 50,
    (3, 4, 23, 3, True): 101,
    (3, 8, 36, 3, True): 152,
}


def fits(state: Mapping[str, Tensor], key: str, value: Tensor) -> bool:
    """Whether ``state`` has ``key`` in the shape of ``value``."""
    # Checkpoints of torch < 0.4.1 lack the counters of batch normalisation.
    if key.endswith('num_batches_tracked') and key not in state:
        return True
    return key in state and state[key].shape == value.shape


def covers(state: Mapping[str, Tensor], module: nn.Module, prefix: str) -> bool:
    """Whether ``state`` has every tensor of ``module`` in its shape, and there is any."""
    own = {prefix + key: value for key, value in module.state_dict().items()}
    return bool(own) and all(fits(state, key, value) for key, value in own.items())


def find_problems(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], stages: Sequence[str]
) -> list[str]:
    """What does not fit, one clause each with the likely cause.

    Args:
        state (Mapping[str, Tensor]): The checkpoint's tensors.
        wanted (Mapping[str, Tensor]): The backbone's tensors that it should fill.
        stages (Sequence[str]): Names of the residual stages, such as ``'layer1'``.

    Returns:
        list[str]: Empty if everything fits.
    """
    if not set(state) & set(wanted):
        first = f' (the first is {next(iter(state))!r})' if state else ''
        return [
            f"none of its {len(state)} names is a ResNet's{first}; "
            'it is of another architecture or from another library'
        ]
    cause = _depths_differ(state, wanted)
    problems = []
    missing, misshapen = missing_and_misshapen(state, wanted)
    in_stages = tuple(f'{stage}.' for stage in stages)
    left_over = [key for key in state if key.startswith(in_stages) and key not in wanted]
    found = {key: state[key] for key in wanted if key in state}
    broken = [key for key, value in found.items() if not _is_sound(key, value, wanted[key])]
    if missing:
        problems.append(
            f'{len(missing)} tensors are missing, the first {missing[0]!r} '
            f'({cause or "a shallower network, or another kind of stem?"})'
        )
    if misshapen:
        key = misshapen[0]
        problems.append(
            f'{len(misshapen)} tensors have another shape, the first {key!r} '
            f'{tuple(state[key].shape)} instead of {tuple(wanted[key].shape)} '
            f'({cause or "another depth or base_channels?"})'
        )
    if left_over:
        problems.append(
            f'{len(left_over)} tensors of the residual stages are left over, the first '
            f'{left_over[0]!r} ({cause or "gates of another kind or size?"})'
        )
    if broken:
        problems.append(
            f'{len(broken)} tensors hold NaN, infinity, negative variances or no real numbers, '
            f'the first {broken[0]!r}'
        )
    return problems


def missing_and_misshapen(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> tuple[list[str], list[str]]:
    """Names of ``wanted`` that ``state`` lacks, and those it has in another shape."""
    unfit = [key for key, value in wanted.items() if not fits(state, key, value)]
    return [k for k in unfit if k not in state], [k for k in unfit if k in state]


def _is_sound(key: str, value: Tensor, wanted: Tensor) -> bool:
    if not wanted.is_floating_point():
        return True
    if not value.is_floating_point():
        return False
    value = value.to(wanted.dtype)
    is_finite = bool(torch.isfinite(value).all())
    return is_finite and not (key.endswith('running_var') and bool((value < 0).any()))


def _depths_differ(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    theirs, ours = depth_of(state), depth_of(wanted)
    if theirs is None or ours is None or theirs == ours:
        return None
    return f'the file holds a ResNet-{theirs}, this backbone is a ResNet-{ours}'


def depth_of(state: Mapping[str, Tensor]) -> int | None:
    """Depth of the ResNet that a backbone's tensors are of, None if they are of no known one."""
    counts = [
        sum(f'layer{stage}.{unit}.conv1.weight' in state for unit in range(40))
        for stage in range(1, 5)
    ]
    return _ARCHITECTURES.get((*counts, 'layer1.0.conv3.weight' in state))  # type: ignore[arg-type]
