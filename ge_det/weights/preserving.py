"""Let a network with fresh gates compute what it computes without them, and still learn.

A fresh gate g scales the residual branch a trunk was trained with: y = g x. Every gate with
weights can be made a constant c by zeroing its last weights, and the normalisation that puts out x
takes it back: its affine divided by c gives (x / c) c = x, exactly. A gate without weights, GE θ⁻,
names the factor s for the affine with which its output comes closest to x. That is only
approximate, and errors grow from unit to unit, so s goes only as far from 1 as makes the outputs of
the whole network come closest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn

from ge_det.blocks import AttentionBlock
from ge_det.blocks.gated_backbone import as_gated

from .calibration import statistics_before
from .report import Preservation

# Sizes of the random images the result is measured on.
_SIZES = ((64, 64), (96, 128))

_SHARES = tuple(step / 8 for step in range(9))


@torch.no_grad()
def preserve_function(
    backbone: nn.Module,
    fresh: Collection[str],
    images: Sequence[Tensor] = (),
    loaded: Collection[str] | None = None,
) -> Preservation:
    """Change fresh gates and the normalisations before them so that the network stays the same.

    Args:
        backbone (nn.Module): A backbone with gates at the end of its residual branches, changed in
            place.
        fresh (Collection[str]): Names of the gates that no checkpoint filled.
        images (Sequence[Tensor]): Normalised images (N, 3, H, W) to fit the scales to that gates
            without weights need. Defaults to none: features are taken to be the bias of the
            normalisation.
        loaded (Collection[str], optional): Names of the tensors that were just loaded; what was
            not may have been scaled before. Defaults to None: all.

    Returns:
        Preservation: What was done, and the relative error that is left on random images and on
        ``images``.
    """
    result = Preservation(calibration_images=sum(len(batch) for batch in images))
    if not fresh:
        return result
    plain = _without_gates(backbone, fresh)
    gates = {name: backbone.get_submodule(name) for name in fresh}
    weightless = {
        name: gate
        for name, gate in gates.items()
        if isinstance(gate, AttentionBlock) and not gate.state_dict()
    }
    statistics = statistics_before(plain, weightless, images)
    fitted: dict[nn.BatchNorm2d, Tensor] = {}
    biases: dict[nn.BatchNorm2d, Tensor] = {}
    names = {id(parameter): key for key, parameter in backbone.named_parameters()}
    for name, norm, reason in _ends_of_branches(backbone, fresh):
        if norm is not None and loaded is not None and names.get(id(norm.weight)) not in loaded:
            reason = reason or 'the normalisation before it was not loaded'
        if norm is None or reason is not None or norm in fitted:
            result.impossible[name] = reason or 'another gate without weights stands before it'
            continue
        bias = biases.setdefault(norm, norm.bias.clone())
        if name in weightless:
            gate = weightless[name]
            # Without images, by the mean that the normalisation gives each channel.
            known = statistics.get(name) or gate.scale_statistics_of_mean(bias)
            if known is None:
                result.impossible[name] = 'it cannot be made a constant'
                continue
            fitted[norm] = gate.fit_scale(*known)
            result.approximate.append(name)
            continue
        block = gates[name]
        constant = block.make_constant() if isinstance(block, AttentionBlock) else None
        if constant is None:
            result.impossible[name] = 'it cannot be made a constant'
            continue
        _scale(norm, constant.reciprocal())
        result.exact.append(name)
    with _in_eval_mode(backbone):
        if fitted:
            result.share = _scale_closest(backbone, plain, fitted, images or _random(backbone))
        for batch in _random(backbone):
            shape = 'x'.join(map(str, batch.shape))
            result.deviation[f'random {shape}'] = relative_error(backbone, plain, [batch])
        if images:
            fed = f'the {result.calibration_images} calibration images'
            result.deviation[fed] = relative_error(backbone, plain, images)
    return result


def _scale(norm: nn.BatchNorm2d, factor: Tensor) -> None:
    norm.weight.mul_(factor)
    norm.bias.mul_(factor)


def _scale_closest(
    backbone: nn.Module,
    plain: nn.Module,
    fitted: Mapping[nn.BatchNorm2d, Tensor],
    images: Sequence[Tensor],
) -> float:
    """Scale by 1 + share (s - 1), with the share that deviates least over all outputs."""
    affine = {norm: (norm.weight.clone(), norm.bias.clone()) for norm in fitted}

    def set_share(share: float) -> None:
        for norm, (weight, bias) in affine.items():
            norm.weight.copy_(weight)
            norm.bias.copy_(bias)
            _scale(norm, 1 + share * (fitted[norm] - 1))

    errors = {}
    for share in _SHARES:
        set_share(share)
        errors[share] = sum(relative_error(backbone, plain, images))
    best = min(errors, key=lambda share: errors[share])
    set_share(best)
    return best


def _without_gates(backbone: nn.Module, names: Collection[str]) -> nn.Module:
    # MMEngine's notes on initialisation hold on to every parameter of the whole detector.
    notes = getattr(backbone, '_params_init_info', None)
    plain = deepcopy(backbone, {id(notes): notes})
    for name in names:
        parent, _, attribute = name.rpartition('.')
        setattr(plain.get_submodule(parent), attribute, nn.Identity())
    return plain.eval() or plain  # mmdet's ResNet.eval() returns None.


def _ends_of_branches(
    backbone: nn.Module, fresh: Collection[str]
) -> Iterator[tuple[str, nn.BatchNorm2d | None, str | None]]:
    """Name of each fresh gate, the normalisation before it, or why nothing can be done there."""
    ends: dict[str, tuple[nn.BatchNorm2d | None, str | None]] = {}
    network = as_gated(backbone)
    for unit, names, norm in network.branch_ends():
        has_affine = all(isinstance(getattr(norm, n, None), Tensor) for n in ('weight', 'bias'))
        for position, name in enumerate(names):
            reason = None if has_affine else 'the normalisation before it has no weights to scale'
            if any(f'{unit}.{other}' not in fresh for other in names[:position]):
                reason = 'another plugin stands before it'
            ends[f'{unit}.{name}'] = (cast(nn.BatchNorm2d, norm), reason)
    inside = (None, 'it does not stand at the end of a residual branch')
    for name in network.gates():
        if name in fresh:
            yield (name, *ends.get(name, inside))


def _random(backbone: nn.Module) -> list[Tensor]:
    """The same images for every network of as many input channels."""
    channels = next(p for p in backbone.parameters() if p.dim() == 4).shape[1]
    random = torch.Generator().manual_seed(0)
    return [torch.randn(2, channels, h, w, generator=random) for h, w in _SIZES]


@contextmanager
def _in_eval_mode(backbone: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in backbone.modules()}
    backbone.eval()
    try:
        yield
    finally:
        for module, training in modes.items():  # Not by train(): some may be set by hand.
            module.training = training


@torch.no_grad()
def relative_error(backbone: nn.Module, plain: nn.Module, batches: Sequence[Tensor]) -> list[float]:
    """||y - y_plain|| / ||y_plain|| of each output over all batches, both in eval mode."""
    like = next(backbone.parameters())
    total = torch.zeros(0)
    for batch in batches:
        batch = batch.to(like)
        pairs = zip(backbone(batch), plain(batch), strict=True)
        squares = torch.tensor(
            [
                [float((a - b).double().square().sum()), float(b.double().square().sum())]
                for a, b in pairs
            ],
            dtype=torch.float64,
        )
        total = squares if not len(total) else total + squares
    return (total[:, 0] / total[:, 1].clamp(min=1e-30)).sqrt().tolist()
