"""Load a checkpoint into a backbone, insist that its trunk arrives, and report."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from ge_det.blocks.gated_backbone import as_gated
from ge_det.errors import UserError, without_secrets
from ge_det.files import sha256_of
from ge_det.reading.download import as_text

from .fitting import Fit, fit_weights
from .import_notes import find_notes
from .preserving import preserve_function as preserve
from .report import LoadReport
from .sources import find_source


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
        key (str, optional): Which of several sets of weights in the file to take, such as
            ``'state_dict_ema'`` or ``'teacher'``. Defaults to None: what a training saved rather
            than an average of it; the report says which was taken.
    """

    checkpoint: str
    source: str | None = None
    preserve_function: bool = True
    strict: bool = True
    key: str | None = None

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
        if not isinstance(options.get('key', ''), (str, type(None))):
            raise ValueError(f'key={options["key"]!r} is not allowed: it must be a str')
        return cls(**options)


def import_pretrained(
    backbone: nn.Module,
    checkpoint: str | os.PathLike[str],
    *,
    source: str | None = None,
    preserve_function: bool = True,
    strict: bool = True,
    key: str | None = None,
    calibration_images: Sequence[Tensor] = (),
) -> LoadReport:
    """Fill a backbone from a checkpoint; gates that are not wholly in it start fresh.

    Args:
        backbone (nn.Module): AttentionResNet, or any mmdet backbone that carries the blocks in
            ``plugins=``; changed in place, and from then on initialised in MMEngine's eyes.
        checkpoint (str | os.PathLike): Path, http(s) URL, or model name of the source.
        source (str, optional): ``'mmpretrain'``, ``'torchvision'``, ``'timm'``,
            ``'pytorchinsight'`` or ``'ge_det'``. Defaults to None: told by the names in the file.
        preserve_function (bool): Let the network compute at first what it computes without its
            fresh gates; see :mod:`ge_det.weights.preserving`. Defaults to True.
        strict (bool): Raise if the trunk does not fit, instead of reporting it.
            Defaults to True.
        key (str, optional): Which of several sets of weights in the file. Defaults to None.
        calibration_images (Sequence[Tensor]): Normalised images, each (N, 3, H, W) of any size,
            to fit the scales to that gates without weights need. Defaults to none.

    Returns:
        LoadReport: What was loaded and what was not.

    Raises:
        CheckpointError: If the file cannot be read, if nothing in it fits, or with ``strict`` if
            the trunk does not fit; the backbone is unchanged then.
        ValueError: If there is no such source, or ``backbone`` is no module.
    """
    if not isinstance(backbone, nn.Module):
        raise UserError(
            f'backbone={type(backbone).__name__} is not allowed: it must be an nn.Module'
        )
    checkpoint = as_text(checkpoint)
    fit = fit_weights(backbone, checkpoint, source, strict, key)
    weights, gates, fresh = fit.weights, fit.gates, fit.fresh
    backbone.load_state_dict(fit.matched, strict=False)
    report = _report(checkpoint, fit, key)
    report.parameter_share, report.trunk_share = _shares(backbone, fit.matched, gates)
    report.loaded_gates = [name for name in fit.filled if name not in weights.gates.prepared]
    report.prepared_gates = [name for name in fit.filled if name in weights.gates.prepared]
    report.fresh_gates = fresh
    report.problems = fit.problems
    report.notes = find_notes(backbone, weights, gates, report)
    if preserve_function:
        report.preserved = preserve(backbone, fresh, calibration_images, fit.matched)
    if isinstance(backbone, BaseModule):
        backbone.is_init = True  # MMEngine would initialise it, and undo the import.
    as_gated(backbone).settle_gates(report.loaded_gates, report.without_effect)
    return report


def _report(checkpoint: str, fit: Fit, key: str | None) -> LoadReport:
    weights, difference, matched = fit.weights, fit.difference, fit.matched
    return LoadReport(
        checkpoint=without_secrets(checkpoint),
        source=weights.source.name,
        key=key,
        file=str(weights.path),
        sha256=sha256_of(weights.path),
        file_bytes=weights.path.stat().st_size,
        matched=list(matched),
        matched_bytes=sum(value.numel() * value.element_size() for value in matched.values()),
        unexpected=difference.left_over,
        missing_trunk=difference.missing,
        wrong_shape=difference.misshapen,
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
