"""Load a checkpoint into a backbone, insist that its trunk arrives, and report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from .backbone_weights import BackboneWeights, read_backbone_weights
from .download import sha256_of
from .errors import CheckpointError
from .import_notes import find_notes
from .matching import find_gates, find_problems, fits, missing_and_misshapen
from .preserving import preserve_function as preserve
from .report import LoadReport
from .sources import find_source, guess_source


@dataclass(frozen=True)
class PretrainedOptions:
    """Options of ``pretrained=``.

    Attributes:
        checkpoint (str): Path, http(s) URL or model name of weights: a plain ResNet's, a
            classifier's or a detector's.
        source (str, optional): Whose names the file has: ``'mmpretrain'``, ``'torchvision'``,
            ``'timm'``, ``'pytorchinsight'`` or ``'ge_det'``. Defaults to None: told by the names.
        preserve_function (bool): Let the network compute at first what it computes without the
            gates that the file does not fill. Defaults to True.
        strict (bool): Raise if a tensor of the trunk is missing, has another shape or is left
            over; otherwise report it. Defaults to True.
    """

    checkpoint: str
    source: str | None = None
    preserve_function: bool = True
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
                f'pretrained={value!r} is not allowed: it must be a path, a URL, a model name, or '
                'a dict with the key checkpoint'
            )
        unknown = set(options) - set(known)
        if unknown:
            raise ValueError(
                f'pretrained does not take {", ".join(sorted(unknown))}; it takes '
                f'{", ".join(known)}'
            )
        if options.get('source') is not None:
            find_source(options['source'])
        for name in ('preserve_function', 'strict'):
            if not isinstance(options.get(name, True), bool):
                raise ValueError(f'{name}={options[name]!r} is not allowed: it must be a bool')
        return cls(**options)


def import_pretrained(
    backbone: nn.Module,
    checkpoint: str,
    *,
    source: str | None = None,
    preserve_function: bool = True,
    strict: bool = True,
    calibration_images: Sequence[Tensor] = (),
) -> LoadReport:
    """Fill a backbone from a checkpoint; gates that are not wholly in it start fresh.

    Args:
        backbone (nn.Module): AttentionResNet, or any mmdet backbone that carries the blocks in
            ``plugins=``; changed in place, and from then on initialised in MMEngine's eyes.
        checkpoint (str): Path, http(s) URL, or model name of the source.
        source (str, optional): ``'mmpretrain'``, ``'torchvision'``, ``'timm'``,
            ``'pytorchinsight'`` or ``'ge_det'``. Defaults to None: told by the names in the file.
        preserve_function (bool): Let the network compute at first what it computes without its
            fresh gates; see :mod:`ge_det.weights.preserving`. Defaults to True.
        strict (bool): Raise if the trunk does not fit, instead of reporting it.
            Defaults to True.
        calibration_images (Sequence[Tensor]): Normalised images, each (N, 3, H, W) of any size,
            to fit the scales of GE θ⁻ to. Defaults to none.

    Returns:
        LoadReport: What was loaded and what was not.

    Raises:
        CheckpointError: If the file cannot be read, if nothing in it fits, or with ``strict`` if
            the trunk does not fit; the backbone is unchanged then.
        ValueError: If there is no such source.
    """
    weights = read_backbone_weights(checkpoint, source)
    state, gates = weights.state, find_gates(backbone)
    filled = [name for name, gate in gates.items() if weights.fills(name, gate)]
    fresh = [name for name in gates if name not in filled]
    outside = tuple(f'{name}.' for name in fresh)
    wanted = {k: v for k, v in backbone.state_dict().items() if not k.startswith(outside)}
    problems = find_problems(state, wanted, _stages(backbone))
    problems += _other_source(backbone, weights) + _other_network(backbone, weights)
    problems += weights.gates.lost(gates)
    nothing_fits = not set(state) & set(wanted)
    if problems and (strict or nothing_fits):
        hint = '' if nothing_fits else '. strict=False beside the checkpoint loads what fits'
        raise CheckpointError(
            f'{checkpoint} does not fit this backbone: {"; ".join(problems)}{hint}'
        )
    matched = {k: state[k] for k, v in wanted.items() if k in state and fits(state, k, v)}
    backbone.load_state_dict(matched, strict=False)
    report = _report(backbone, checkpoint, weights, wanted, matched)
    report.parameter_share, report.trunk_share = _shares(backbone, matched, gates)
    report.loaded_gates = [name for name in filled if name not in weights.gates.prepared]
    report.prepared_gates = [name for name in filled if name in weights.gates.prepared]
    report.fresh_gates = fresh
    report.problems = problems
    report.notes = find_notes(backbone, weights, gates, report)
    if preserve_function:
        report.preserved = preserve(backbone, fresh, calibration_images)
    if isinstance(backbone, BaseModule):
        backbone.is_init = True  # MMEngine would initialise it, and undo the import.
    settle_gates = getattr(backbone, 'settle_gates', None)
    if callable(settle_gates):
        settle_gates(report.loaded_gates)
    return report


def _stages(backbone: nn.Module) -> list[str]:
    return list(getattr(backbone, 'res_layers', ['layer1', 'layer2', 'layer3', 'layer4']))


def _other_source(backbone: nn.Module, weights: BackboneWeights) -> list[str]:
    """A clause that names the source the file seems to be from, where that explains a misfit."""
    own, guess = backbone.state_dict(), guess_source(weights.state)
    gained = sum(key in own for key in guess.rename(weights.state)) - sum(
        key in own for key in weights.state
    )
    return [f"its names are those of source='{guess.name}'"] if gained > 0 else []


def _other_network(backbone: nn.Module, weights: BackboneWeights) -> list[str]:
    style = weights.network.get('style')
    clauses = list(weights.objections)
    if style is not None and getattr(backbone, 'style', style) != style:
        clauses.append(
            f"these weights have their strides elsewhere: the backbone needs style='{style}'"
        )
    return clauses


def _report(
    backbone: nn.Module,
    checkpoint: str,
    weights: BackboneWeights,
    wanted: Mapping[str, Tensor],
    matched: Mapping[str, Tensor],
) -> LoadReport:
    missing, misshapen = missing_and_misshapen(weights.state, wanted)
    return LoadReport(
        checkpoint=checkpoint,
        source=weights.source.name,
        file=str(weights.path),
        sha256=sha256_of(weights.path),
        file_bytes=weights.path.stat().st_size,
        matched=list(matched),
        matched_bytes=sum(value.numel() * value.element_size() for value in matched.values()),
        unexpected=[key for key in weights.state if key not in wanted],
        missing_trunk=missing,
        wrong_shape={
            key: f'{tuple(weights.state[key].shape)} instead of {tuple(wanted[key].shape)}'
            for key in misshapen
        },
        other_parts=dict(Counter(key.split('.')[0] for key in weights.others)),
    )


def _shares(
    backbone: nn.Module, matched: Collection[str], gates: Collection[str]
) -> tuple[float, float]:
    """Loaded share of the backbone's parameters, and of those outside gates."""
    inside = tuple(f'{name}.' for name in gates)
    sizes = {name: parameter.numel() for name, parameter in backbone.named_parameters()}
    trunk = {name: size for name, size in sizes.items() if not name.startswith(inside)}
    whole, part = (
        sum(size for name, size in of.items() if name in matched) / max(1, sum(of.values()))
        for of in (sizes, trunk)
    )
    return whole, part
