"""Load a checkpoint into a backbone and insist that its trunk arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

from mmengine.logging import print_log
from torch import Tensor, nn

from .checkpoint import CheckpointError, backbone_state_dict, read_state_dict


class GatedBackbone(Protocol):
    """What the import needs to know of a backbone; see AttentionResNet."""

    res_layers: list[str]

    def gates(self) -> dict[str, nn.Module]:
        """Attention blocks by name."""

    def state_dict(self) -> dict[str, Tensor]:
        """Tensors by name."""

    def load_state_dict(self, state_dict: Mapping[str, Tensor], strict: bool = True) -> Any:
        """Copy tensors in."""


@dataclass(frozen=True)
class PretrainedOptions:
    """Options of ``pretrained=``.

    Attributes:
        checkpoint (str): Path or http(s) URL of a file that holds the backbone's weights: a plain
            ResNet's, a classifier's or a detector's.
        strict (bool): Raise if a tensor of the trunk is missing, has another shape or is left
            over; otherwise log it. Defaults to True.
    """

    checkpoint: str
    strict: bool = True

    @classmethod
    def parse(cls, value: dict[str, Any] | str | None) -> PretrainedOptions | None:
        """Read the value of ``pretrained=`` in a config.

        Raises:
            ValueError: If it is no path, no dict, or has unknown entries.
        """
        if value is None:
            return None
        options = dict(checkpoint=value) if isinstance(value, str) else value
        known = [field.name for field in fields(cls)]
        if not isinstance(options, dict) or not isinstance(options.get('checkpoint'), str):
            raise ValueError(
                f'pretrained={value!r} is not allowed: it must be a path, a URL, or a dict with '
                'the key checkpoint'
            )
        unknown = set(options) - set(known)
        if unknown:
            raise ValueError(
                f'pretrained does not take {", ".join(sorted(unknown))}; it takes '
                f'{", ".join(known)}'
            )
        if not isinstance(options.get('strict', True), bool):
            raise ValueError(f'strict={options["strict"]!r} is not allowed: it must be a bool')
        return cls(**options)


def read_backbone_weights(checkpoint: str, prefix: str | None = None) -> dict[str, Tensor]:
    """Read a file or URL and keep the backbone's weights, under a plain backbone's names.

    Args:
        checkpoint (str): Path or http(s) URL.
        prefix (str, optional): What stands before the backbone's keys. Defaults to None: found
            by itself.

    Returns:
        dict[str, Tensor]: Tensors by name.

    Raises:
        CheckpointError: If the file cannot be read.
    """
    state = read_state_dict(checkpoint)
    if prefix is None:
        return backbone_state_dict(state)
    prefix = prefix if prefix.endswith('.') else f'{prefix}.'
    return {key[len(prefix) :]: v for key, v in state.items() if key.startswith(prefix)}


def covers(state: Mapping[str, Tensor], module: nn.Module, prefix: str) -> bool:
    """Whether ``state`` has every tensor of ``module`` in its shape, and there is any."""
    own = {prefix + key: value for key, value in module.state_dict().items()}
    return bool(own) and all(_fits(state, key, value) for key, value in own.items())


def import_pretrained(backbone: GatedBackbone, options: PretrainedOptions) -> None:
    """Fill a backbone from a checkpoint; gates that are not wholly in it keep their values.

    Args:
        backbone (AttentionResNet): The backbone, changed in place.
        options (PretrainedOptions): What to read, and how strictly.

    Raises:
        CheckpointError: If the file cannot be read, or with ``strict`` if the trunk does not fit.
    """
    state = read_backbone_weights(options.checkpoint)
    gates = backbone.gates()
    fresh = tuple(f'{name}.' for name, gate in gates.items() if not covers(state, gate, f'{name}.'))
    wanted = {k: v for k, v in backbone.state_dict().items() if not k.startswith(fresh)}
    problems = _problems(state, wanted, tuple(f'{layer}.' for layer in backbone.res_layers))
    nothing_fits = not set(state) & set(wanted)
    if problems and (options.strict or nothing_fits):
        hint = '' if nothing_fits else '. strict=False beside the checkpoint loads what fits'
        raise CheckpointError(
            f'{options.checkpoint} does not fit this backbone: {"; ".join(problems)}{hint}'
        )
    matched = {
        key: state[key]
        for key, value in wanted.items()
        if key in state and _fits(state, key, value)
    }
    backbone.load_state_dict(matched, strict=False)
    print_log(
        f'{options.checkpoint}: {len(matched)} tensors loaded, '
        f'{len(gates) - len(fresh)} of {len(gates)} gates among them'
        + ''.join(f'; {problem}' for problem in problems),
        logger='current',
    )


def _fits(state: Mapping[str, Tensor], key: str, value: Tensor) -> bool:
    # Checkpoints of torch < 0.4.1 lack the counters of batch normalisation.
    if key.endswith('num_batches_tracked') and key not in state:
        return True
    return key in state and state[key].shape == value.shape


def _problems(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], stages: tuple[str, ...]
) -> list[str]:
    """What does not fit, one clause each with the likely cause."""
    if not set(state) & set(wanted):
        return [
            f"none of its {len(state)} names is a ResNet's (the first is {next(iter(state))!r}); "
            'it is of another architecture or from another library'
        ]
    problems = []
    unfit = [key for key, value in wanted.items() if not _fits(state, key, value)]
    missing = [key for key in unfit if key not in state]
    misshapen = [key for key in unfit if key in state]
    left_over = [key for key in state if key.startswith(stages) and key not in wanted]
    if missing:
        problems.append(
            f'{len(missing)} tensors are missing, the first {missing[0]!r} (a shallower network, '
            'or another kind of stem?)'
        )
    if misshapen:
        key = misshapen[0]
        problems.append(
            f'{len(misshapen)} tensors have another shape, the first {key!r} '
            f'{tuple(state[key].shape)} instead of {tuple(wanted[key].shape)} (another depth or '
            'base_channels?)'
        )
    if left_over:
        problems.append(
            f'{len(left_over)} tensors of the residual stages are left over, the first '
            f'{left_over[0]!r} (a deeper network, or gates of another kind or size?)'
        )
    return problems
