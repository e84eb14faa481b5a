"""Put a gate into every residual unit of somebody's network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ge_det.errors import UserError, one_line

from .fused import fuse, unfuse
from .gates import make_gates, width_of
from .hook import KeepsGate, forget_compiled, put_gate, take_gate
from .preserve import Start, check_apart, check_taken_back, start_of, take_back
from .probe import Probe
from .report import AttachedGate, AttachReport
from .selection import UnitsFunction, all_units, in_stages
from .units import Unit


def add_attention(
    model: nn.Module,
    attention: dict[str, Any] | str,
    stages: Sequence[bool] | None = None,
    preserve_function: bool = True,
    *,
    units: UnitsFunction | None = None,
) -> AttachReport:
    """Put a gate on the residual branch of every residual unit, in place.

    The gate stands after the last normalisation of the branch, before the addition, and is a child
    of the unit, with the name that AttentionResNet gives it: a ResNet of torchvision or timm with
    gates has the keys of an AttentionResNet of the same depth. Nothing else of the network changes.

    The units of the ResNets of torchvision, timm, mmdet, mmpretrain, transformers (``ResNet*`` and
    ``RTDetrResNet*``) and detectron2 are found anywhere in a model, such as a whole detector.

    Add gates after the pretrained weights were loaded, and before an optimiser or a wrapper such as
    DistributedDataParallel is made. What torch.fx extracts of a network
    (``create_feature_extractor``) computes with the gates, but does not hold their weights: extract
    first, and name its units by ``units``.

    Gates draw their weights from torch's global random state, as any module does. To measure what
    changed, ``preserve_function`` runs the network on random input, its forward hooks included.

    Args:
        model (nn.Module): Any network with residual units.
        attention (dict | str): Short name of the block, such as ``'sge'`` (``ge-det blocks`` lists
            them) or name of its class, or its type and arguments, such as
            ``dict(type='ge_det.SqueezeExcite', ratio=8)``; the type may be a class.
        stages (Sequence[bool], optional): Which stages carry the block, as ``attention_stages`` of
            AttentionResNet. Defaults to None, all.
        preserve_function (bool): Leave what the network computes as it was: gates with weights
            start as constants that the normalisation before them takes back, and learn from there;
            GE θ⁻, which has none, is taken back approximately. False leaves the gates as their
            authors begin, and works on the meta device too. Defaults to True.
        units (Callable, optional): For other networks: from the model to (unit, last normalisation
            of its residual branch, channels) of each unit. Defaults to None.

    Returns:
        AttachReport: What was put where; ``print`` shows it as a table.

    Raises:
        ValueError: If the model has no units or has gates already, if the block is unknown or does
            not fit, or an argument is not allowed; the message is one line. The model is unchanged
            then.

    Examples:
        >>> from torchvision.models import resnet50
        >>> report = add_attention(resnet50(weights='DEFAULT'), 'sge')
        >>> print(report)
    """
    if type(preserve_function) is not bool:
        raise UserError(
            f'preserve_function={type(preserve_function).__name__} is not allowed: it must be True '
            'or False'
        )
    found = all_units(model, units)
    chosen = in_stages(found, stages)
    name, gates = make_gates(attention, chosen, width_of(found))
    starts = []
    if preserve_function:
        check_apart(model, chosen)
        starts = [start_of(unit, gate) for unit, gate in zip(chosen, gates, strict=True)]
    probe = Probe(model, found) if starts else None
    report = AttachReport([], notes=_notes(model, chosen, gates))
    deviations: dict[str, float | None] = {}
    with _all_or_nothing(model, chosen, starts) as keepers:
        for unit, gate in zip(chosen, gates, strict=True):
            keepers.append(put_gate(unit.module, name, gate, unit.norm))
        for unit in chosen:
            fuse(unit, name)
        if probe is not None:
            scaled, report.share = take_back(starts, lambda: sum(e or 0 for e in probe.errors()))
            for keeper, one in zip(keepers, scaled, strict=True):
                keeper.scaled = one
            errors = probe.errors()
            deviations = dict(zip([unit.name for unit in found], errors, strict=True))
            check_taken_back(starts, chosen, deviations)
            report.deviation = max((one for one in errors if one is not None), default=None)
            report.unmeasured = probe.why if report.deviation is None else None
    forget_compiled()
    for unit, gate, start in zip_longest(chosen, gates, starts):
        report.gates.append(
            AttachedGate(
                unit=unit.name,
                gate=f'{unit.name}.{name}' if unit.name else name,
                block=attention if isinstance(attention, str) else type(gate).__name__,
                stage=unit.stage,
                channels=unit.channels,
                parameters=sum(parameter.numel() for parameter in gate.parameters()),
                start='fresh' if start is None else 'constant' if start.exact else 'fitted',
                deviation=deviations.get(unit.name),
            )
        )
    return report


@contextmanager
def _all_or_nothing(
    model: nn.Module, units: Sequence[Unit], starts: Sequence[Start]
) -> Iterator[list[KeepsGate]]:
    """Takes gates out again, whose keepers are put into the list, where anything goes wrong."""
    keepers: list[KeepsGate] = []
    try:
        yield keepers
    except BaseException as error:
        for unit, keeper in zip(units, keepers, strict=False):
            unfuse(unit.module)
            take_gate(unit.module, keeper)
        for start in starts:
            start.undo()
        if isinstance(error, RuntimeError):  # Most of torch's, such as of shapes.
            name = type(model).__name__
            raise UserError(f'{name} does not run with these gates: {one_line(error)}') from error
        raise


def _notes(model: nn.Module, units: Sequence[Unit], gates: Sequence[nn.Module]) -> list[str]:
    """What keeps gates from learning, or from learning alike, in such a network."""
    notes = []
    norms = any(isinstance(m, _BatchNorm) for gate in gates for m in gate.modules())
    for network in model.modules():
        if isinstance(network, nn.parallel.DistributedDataParallel):
            notes.append(
                f'{type(network).__name__} was made before the gates, whose gradients it does not '
                'average: wrap the network again'
            )
        frozen = getattr(network, 'frozen_stages', None)
        frozen = frozen if isinstance(frozen, int) else 0
        norm_eval = norms and getattr(network, 'norm_eval', False) is True
        if frozen <= 0 and not norm_eval:
            continue
        inside = set(network.modules())
        if any(unit.module in inside and unit.stage < frozen for unit in units):
            notes.append(
                f'{type(network).__name__}.train() freezes the gates in its frozen_stages={frozen} '
                'too: lower frozen_stages, leave these stages out with stages=, or use '
                'ge_det.AttentionResNet(freeze_gates=False), where such gates learn'
            )
        if norm_eval and any(unit.module in inside for unit in units):
            notes.append(
                f'{type(network).__name__}.train() keeps the batch normalisation in fresh gates on '
                'mean 0 and variance 1 (norm_eval=True): set norm_eval=False, or use '
                'ge_det.AttentionResNet'
            )
    return notes
