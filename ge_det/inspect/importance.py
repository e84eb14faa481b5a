"""Feature importance: what is left when channels are dropped in the order of their gates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ge_det.attach.recognise import find_units
from ge_det.blocks import AttentionBlock
from ge_det.errors import UserError
from ge_det.ops.own_areas import OwnAreas, crop

from .figure import Figure
from .gates import full_gate_of, named_gates, named_parts, short_units, unit_of

SHARES = (0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)

Evaluate = Callable[[], float]
"""Measures the network as it is now: AP or top-1 on some data."""


class Importance(NamedTuple):
    """Of one unit, as in Fig. 5 of Hu et al. 2018 (https://arxiv.org/abs/1810.12348).

    Attributes:
        shares (tuple[float, ...]): Of the channels of the residual branch that are dropped.
        ascending (tuple[float, ...]): AP or top-1 at each, lowest gates dropped first.
        descending (tuple[float, ...]): The same, highest gates first.
    """

    shares: tuple[float, ...]
    ascending: tuple[float, ...]
    descending: tuple[float, ...]


class Ends(NamedTuple):
    """What the plain network reaches.

    Attributes:
        kept (float): As it is.
        dropped (float): Without the residual branch of the unit.
    """

    kept: float
    dropped: float


def channel_importance(
    model: nn.Module, gate: str, evaluate: Evaluate, shares: Sequence[float] = SHARES
) -> Importance:
    """Measure a network while channels of one unit's residual branch are dropped.

    In each picture the channels are ordered by their gate, by its mean over positions where it has
    several, and a share of them, rounded to whole channels, is set to 0. Of equal gates, as within
    a group of SGE, the first channels go first.

    Args:
        model (nn.Module): A network with gates, in evaluation.
        gate (str): Name of the unit's gate, of :func:`~ge_det.inspect.gates.named_gates`.
        evaluate (Callable): Measures the network; it is called twice for each share, once where
            nothing or everything is dropped.
        shares (Sequence[float]): Of channels to drop, 0 to 1. Defaults to every eighth.

    Raises:
        UserError: If there is no such gate, or a share is not between 0 and 1.
    """
    gates = named_gates(model)
    if gate not in gates:
        raise UserError(f'no gate {gate!r}: there are {", ".join(gates) or "none"}')
    if not shares or min(shares) < 0 or max(shares) > 1:
        raise UserError(f'shares={tuple(shares)} is not allowed: they lie between 0 and 1')
    values: dict[tuple[float, bool], float] = {}
    for share in shares:
        for ascending in (True, False):
            same = values.get((share, True)) if share in (0, 1) else None
            if same is None:
                with dropped(gates[gate], share, ascending):
                    same = evaluate()
            values[share, ascending] = same
    rows = (tuple(values[share, ascending] for share in shares) for ascending in (True, False))
    return Importance(tuple(shares), *rows)


@contextmanager
def dropped(gate: AttentionBlock, share: float, ascending: bool = True) -> Iterator[None]:
    """Set channels behind a gate to 0, in each picture those of the lowest or highest gates.

    Units run their modules one after another meanwhile, as ``execution_plan`` says.

    Args:
        gate (AttentionBlock): The gate.
        share (float): Of the channels, 0 to 1.
        ascending (bool): Whether those of the lowest gates. Defaults to True.
    """

    @torch.no_grad()
    def keeps(x: Tensor, areas: OwnAreas | None = None) -> Tensor:
        gates = full_gate_of(gate, x, areas)
        parts = [gates] if areas is None else crop(gates, areas)
        values = torch.cat([one.mean(dim=(2, 3)) for one in parts]).expand(x.shape[:2])
        order = values.argsort(dim=1, descending=not ascending, stable=True)
        kept = torch.ones_like(order, dtype=torch.bool)
        kept.scatter_(1, order[:, : round(share * x.shape[1])], False)
        return kept[:, :, None, None]

    def drop(block: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        return output.masked_fill(~keeps(*inputs), 0)

    handle = gate.register_forward_hook(drop) if share else None
    try:
        with torch.compiler.set_stance('force_eager'):
            yield
    finally:
        if handle is not None:
            handle.remove()


def plain_ends(model: nn.Module, unit: str, evaluate: Evaluate) -> Ends:
    """What a plain network reaches with and without the residual branch of a unit.

    Args:
        model (nn.Module): A network without gates, in evaluation.
        unit (str): Name of the unit, such as ``'backbone.layer4.2'``.
        evaluate (Callable): Measures the network; it is called twice.

    Raises:
        UserError: If there is no such unit, or it carries a gate.
    """
    known = {one.module: one.norm for one in find_units(model)}
    norms = {name: known[part] for name, part in named_parts(model).items() if part in known}
    if unit not in norms:
        raise UserError(f'no unit {unit!r}: there are {", ".join(norms) or "none"}')
    if any(name.startswith(f'{unit}.') for name in named_gates(model)):
        raise UserError(f'{unit} carries a gate: the ends are those of a plain network')
    kept = evaluate()
    handle = norms[unit].register_forward_hook(lambda norm, inputs, output: output * 0)
    try:
        with torch.compiler.set_stance('force_eager'):
            return Ends(kept, evaluate())
    finally:
        handle.remove()


def evaluation(model: Any, loader: Iterable[Any], evaluator: Any, key: str) -> Evaluate:
    """What measures a model of MMEngine, such as a detector of mmdet.

    Args:
        model (BaseModel): With ``test_step``, in evaluation.
        loader (DataLoader): Of MMEngine, such as ``Runner.build_dataloader`` makes; the same data
            in the same order each time.
        evaluator (Evaluator): Of MMEngine.
        key (str): Of its metric, such as ``'coco/bbox_mAP'`` or ``'accuracy/top1'``.

    Returns:
        Callable: Runs the model over the data, and gives the metric.
    """

    def evaluate() -> float:
        with torch.no_grad():
            for data in loader:
                evaluator.process(data_samples=model.test_step(data), data_batch=data)
        dataset: Any = getattr(loader, 'dataset', loader)
        metrics = evaluator.evaluate(len(dataset))
        if not metrics:  # mmdet tells none where nothing at all is detected.
            return 0.0
        if key not in metrics:
            raise UserError(f'the evaluator has no {key!r}: it gives {", ".join(metrics)}')
        return float(metrics[key])

    return evaluate


def draw_importance(
    found: Mapping[str, Importance], ends: Mapping[str, Ends] | None = None, metric: str = 'AP'
) -> Figure:
    """The curves, a panel for each unit.

    Args:
        found (Mapping): By names of gates.
        ends (Mapping, optional): Of the plain network, by names of units. Defaults to None.
        metric (str): What was measured. Defaults to ``'AP'``.
    """
    from ge_det.report.figures import BLUE, GREY, ORANGE, draw

    known, units = ends or {}, short_units(found)

    def into(figure: Any) -> None:
        panels = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
        for axes, (name, one) in zip(panels, found.items(), strict=True):
            axes.plot(one.shares, one.ascending, color=BLUE, marker='.', label='lowest gates first')
            axes.plot(one.shares, one.descending, color=ORANGE, marker='.', label='highest first')
            if (plain := known.get(unit_of(name))) is not None:
                axes.plot([0, 1], plain, '*', color=GREY, markersize=9, label='plain network')
            axes.set_title(units[name])
            axes.set_xlabel('share of channels dropped')
        panels[0].set_ylabel(metric)
        panels[0].legend(fontsize=7)

    beside = ' Stars: the plain network, with the unit and without its residual branch.'
    return Figure(
        'Feature importance',
        draw((max(3.4, 2.6 * len(found)), 2.6), into),
        f'{metric} when channels of one unit are dropped, in each picture in the order of their '
        'gates. Where the blue line stays up and the orange one falls, open gates mark the '
        'channels that count; where the two lie on each other, gates say nothing about it.'
        + beside
        * bool(known),
        {
            name: one._asdict() | dict(plain=known[unit]._asdict() if unit in known else None)
            for name, one in found.items()
            for unit in [unit_of(name)]
        },
    )
