"""Class selectivity of every residual unit, and of its branch before and after the gate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ge_det.attach.recognise import find_units
from ge_det.errors import UserError
from ge_det.ops.gated_residual import full_gate

from .gates import named_gates, named_parts, unit_of
from .recording import record_gates
from .selectivity import ClassSelectivity

GRID = 7
"""Points each way at which the features of a box are read, as many as RoIAlign's bins."""

_BRANCH = ('ungated', 'gated')


class LabelledBatch(NamedTuple):
    """Pictures with what they show.

    Attributes:
        images (Tensor): (N, 3, H, W), as the network takes them.
        labels (Tensor | Sequence[Tensor]): (N,) of integers for a classifier; for a detector of
            each picture (k,), the classes of its boxes.
        boxes (Sequence[Tensor] | None): Of each picture (k, 4), x1, y1, x2, y2 in pixels of
            ``images``; None for a classifier.
    """

    images: Tensor
    labels: Tensor | Sequence[Tensor]
    boxes: Sequence[Tensor] | None = None


class Selectivity(NamedTuple):
    """Of the channels of a residual unit, each an index (C,).

    Attributes:
        unit (Tensor): Of what the unit puts out, after its last ReLU, as in the paper.
        ungated (Tensor | None): Of the positive part of its residual branch before the gate; None
            of a unit without a gate.
        gated (Tensor | None): Of the same after the gate.
    """

    unit: Tensor
    ungated: Tensor | None = None
    gated: Tensor | None = None


def pool_boxes(features: Tensor, boxes: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Mean features of boxes, read at 7 x 7 points as by RoIAlign with one sample a bin.

    Args:
        features (Tensor): (N, C, h, w).
        boxes (Sequence[Tensor]): Of each picture (k, 4), in pixels of the network's input.
        size (tuple[int, int]): Height and width of the network's input.

    Returns:
        Tensor: (sum of k, C), picture by picture, of ``float32`` at least.
    """
    height, width = size
    # Boxes of a large picture are not whole pixels in half precision.
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    steps = (torch.arange(GRID, device=features.device) + 0.5) / GRID
    pooled = []
    for image, told in zip(features.split(1), boxes, strict=True):
        x1, y1, x2, y2 = told.to(features)[:, :, None].unbind(dim=1)
        x = (x1 + (x2 - x1) * steps) * 2 / width - 1  # grid_sample's own measure, -1 to 1
        y = (y1 + (y2 - y1) * steps) * 2 / height - 1
        grid = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), dim=-1)
        points = grid.flatten(0, 1)[None].to(features.dtype)  # (1, k * 7, 7, 2)
        read = nn.functional.grid_sample(image, points, padding_mode='border', align_corners=False)
        pooled.append(read[0].unflatten(1, (len(told), GRID)).mean(dim=(2, 3)).t())
    return torch.cat(pooled)


@torch.no_grad()
def selectivity_of(
    model: nn.Module,
    batches: Iterable[LabelledBatch],
    classes: int,
    run: Callable[[Tensor], Any] | None = None,
) -> dict[str, Selectivity]:
    """Class selectivity of each residual unit of a network, gated or plain.

    Sums by class and channel are kept, no features: 8 bytes for each class, channel and place.

    Args:
        model (nn.Module): Any network, in the mode it is to be seen in, which is evaluation. Its
            units are those that :func:`ge_det.add_attention` knows, and those that carry a gate.
        batches (Iterable[LabelledBatch]): Any number.
        classes (int): How many there are.
        run (Callable, optional): Runs images through the units, such as ``detector.backbone``.
            Defaults to None: ``model``.

    Returns:
        dict[str, Selectivity]: By names such as ``'backbone.layer4.2'``, in the order of execution.

    Raises:
        UserError: If the network has no residual unit that is known, or fewer than two classes have
            examples.
    """
    units = _units(model)
    found: dict[tuple[str, str], ClassSelectivity] = {}
    batch = LabelledBatch(torch.empty(0), torch.empty(0))

    def take(unit: str, place: str, active: Tensor) -> None:
        pooled, labels = _examples(active, batch)
        key = (unit, place)
        found.setdefault(key, ClassSelectivity(classes)).add(pooled, labels)

    def watch(name: str, x: Tensor, gate: Tensor) -> None:
        active = x.relu()
        take(unit_of(name), 'ungated', active)
        take(unit_of(name), 'gated', active * full_gate(gate, x))

    with ExitStack() as hooks:
        for name, unit in units.items():
            handle = unit.register_forward_hook(
                lambda module, inputs, output, name=name: take(name, 'unit', output)
            )
            hooks.callback(handle.remove)
        hooks.enter_context(record_gates(model, watch))
        for batch in batches:  # `take` reads it.
            (run or model)(batch.images)
    # What did not run, such as the stages behind the last one that is asked for, is left out.
    return {
        name: Selectivity(
            found[name, 'unit'].index(),
            *(found[name, at].index() if (name, at) in found else None for at in _BRANCH),
        )
        for name in units
        if (name, 'unit') in found
    }


def _units(model: nn.Module) -> dict[str, nn.Module]:
    """Units by name, in the order of execution."""
    known = {unit.module for unit in find_units(model)}
    gated = {unit_of(gate) for gate in named_gates(model)}
    parts = named_parts(model).items()
    units = {name: part for name, part in parts if part in known or name in gated}
    if not units:
        raise UserError(f'{type(model).__name__} has no residual unit that is known here')
    return units


def _examples(active: Tensor, batch: LabelledBatch) -> tuple[Tensor, Tensor]:
    """(features, labels) of the pictures, or of their boxes."""
    if batch.boxes is None:
        assert isinstance(batch.labels, Tensor)
        return active.mean(dim=(2, 3)), batch.labels
    height, width = batch.images.shape[2:]
    return pool_boxes(active, batch.boxes, (height, width)), torch.cat(list(batch.labels))
