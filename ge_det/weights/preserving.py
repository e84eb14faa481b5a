"""Imports that leave a network computing what it computes without its fresh gates.

The maths are in :mod:`ge_det.blocks.taking_back`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn

from ge_det.blocks.gated_backbone import as_gated
from ge_det.blocks.taking_back import (
    can_be_scaled,
    fitted_scale,
    in_eval_mode,
    is_weightless,
    make_constant,
    scale_affine,
    scale_closest,
)

from .calibration import statistics_before
from .report import Preservation

# Sizes of the random images the result is measured on.
_SIZES = ((64, 64), (96, 128))


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
    weightless = {name: gate for name, gate in gates.items() if is_weightless(gate)}
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
            # Without images, by the mean that the normalisation gives each channel.
            factor = fitted_scale(weightless[name], bias, statistics.get(name))
            if factor is not None:
                fitted[norm] = factor
                result.approximate.append(name)
                continue
        elif (constant := make_constant(gates[name])) is not None:
            scale_affine(norm, constant.reciprocal())
            result.exact.append(name)
            continue
        result.impossible[name] = 'it cannot be made a constant'
    with in_eval_mode(backbone):
        if fitted:
            fed = images or _random(backbone)
            result.share = scale_closest(fitted, lambda: sum(relative_error(backbone, plain, fed)))
        for batch in _random(backbone):
            shape = 'x'.join(map(str, batch.shape))
            result.deviation[f'random {shape}'] = relative_error(backbone, plain, [batch])
        if images:
            told = f'the {result.calibration_images} calibration images'
            result.deviation[told] = relative_error(backbone, plain, images)
    return result


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
        for position, name in enumerate(names):
            reason = (
                None
                if can_be_scaled(norm)
                else 'the normalisation before it has no weights to scale'
            )
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
    random = torch.Generator('cpu').manual_seed(0)
    return [torch.randn(2, channels, h, w, generator=random, device='cpu') for h, w in _SIZES]


@torch.no_grad()
def relative_error(backbone: nn.Module, plain: nn.Module, batches: Sequence[Tensor]) -> list[float]:
    """||y - y_plain|| / ||y_plain|| of each output over all batches, both in eval mode."""
    like = next(backbone.parameters())
    squares = [
        [
            [float((a - b).double().square().sum()), float(b.double().square().sum())]
            for a, b in zip(backbone(batch.to(like)), plain(batch.to(like)), strict=True)
        ]
        for batch in batches
    ]
    total = torch.tensor(squares, dtype=torch.float64, device='cpu').sum(0)
    return (total[:, 0] / total[:, 1].clamp(min=1e-30)).sqrt().tolist()
