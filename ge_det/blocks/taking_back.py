"""Let a network with fresh gates compute what it computes without them, and still learn.

A fresh gate g scales the residual branch a trunk was trained with: y = g x. Every gate with
weights can be made a constant c by zeroing its last weights, and the normalisation that puts out x
takes it back: its affine divided by c gives (x / c) c = x, exactly. A gate without weights, GE θ⁻,
names the factor s for the affine with which its output comes closest to x. That is only
approximate, and errors grow from unit to unit, so s goes only as far from 1 as makes the outputs of
the whole network come closest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from .base import AttentionBlock

# Affine weights of a normalisation are parameters, or buffers where they are frozen.
Norm = Any

_SHARES = tuple(step / 8 for step in range(9))


def can_be_scaled(norm: Norm) -> bool:
    """Whether a normalisation has a weight and a bias that can be scaled."""
    return all(isinstance(getattr(norm, name, None), Tensor) for name in ('weight', 'bias'))


def can_be_constant(gate: nn.Module) -> bool:
    """Whether :func:`make_constant` makes a gate a constant; the gate is not changed."""
    return make_constant(deepcopy(gate)) is not None


def is_weightless(gate: nn.Module) -> TypeGuard[AttentionBlock]:
    """Whether a gate has no tensors: nothing could make it a constant, and no file holds it."""
    return isinstance(gate, AttentionBlock) and not gate.state_dict()


@torch.no_grad()
def make_constant(gate: nn.Module) -> Tensor | None:
    """Make a gate the constant that is returned, (C,); None, with nothing changed, if it cannot."""
    return gate.make_constant() if isinstance(gate, AttentionBlock) else None


@torch.no_grad()
def make_half(gate: nn.Module) -> Tensor | None:
    """:func:`make_constant` of a gate that nobody trained, so that no rounding is left."""
    return gate.make_half() if isinstance(gate, AttentionBlock) else None


@torch.no_grad()
def fitted_scale(
    gate: AttentionBlock, bias: Tensor, statistics: Sequence[Tensor] | None = None
) -> Tensor | None:
    """The factor s of a gate without weights, (C,).

    Args:
        gate (AttentionBlock): Such a gate.
        bias (Tensor): Of the normalisation before it, (C,): the mean that it gives each channel.
        statistics (Sequence[Tensor], optional): What the gate keeps of the features of images.
            Defaults to None: features are taken to be their mean.

    Returns:
        Tensor | None: None if the gate has no scale to fit.
    """
    known = statistics or gate.scale_statistics_of_mean(bias)
    return None if known is None else gate.fit_scale(*known)


@torch.no_grad()
def scale_affine(norm: Norm, factor: Tensor) -> None:
    """Scale what a normalisation puts out."""
    norm.weight.mul_(factor)
    norm.bias.mul_(factor)


@torch.no_grad()
def scale_closest(fitted: Mapping[Norm, Tensor], error: Callable[[], float]) -> float:
    """Scale by 1 + share (s - 1), with the share that leaves the smallest error.

    Args:
        fitted (Mapping): From normalisations to their s.
        error (Callable): How far the network is from what it was, with its present weights.

    Returns:
        float: The share, 0 to 1.
    """
    affine = {norm: (norm.weight.clone(), norm.bias.clone()) for norm in fitted}

    def set_share(share: float) -> None:
        for norm, (weight, bias) in affine.items():
            norm.weight.copy_(weight)
            norm.bias.copy_(bias)
            scale_affine(norm, 1 + share * (fitted[norm] - 1))

    errors = {}
    for share in _SHARES:
        set_share(share)
        errors[share] = error()
    best = min(errors, key=lambda share: errors[share])
    set_share(best)
    return best


@contextmanager
def in_eval_mode(*networks: nn.Module) -> Iterator[None]:
    """Evaluate, and leave the mode of every module as it was."""
    modes = {module: module.training for network in networks for module in network.modules()}
    for network in networks:
        network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():  # Not by train(): some may be set by hand.
            module.training = training
