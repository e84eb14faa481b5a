"""Gates of padded maps whose statistics run over the pictures' own areas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ge_det.ops.own_areas import OwnAreas, crop, lay_out

from .layers import DepthwiseNorm, normalise


class _Block(Protocol):
    """What is asked of an attention block here, apart from the view by its name."""

    def gates_of_crops(
        self, view: str, crops: Sequence[Tensor], *affine: Tensor | None
    ) -> list[Tensor | None] | None: ...


def gate_of_areas(
    block: _Block, view: str, x: Tensor, areas: OwnAreas, *affine: Tensor | None
) -> Tensor | None:
    """What a method of a block that gives a gate says of the pictures alone.

    A block that has ``gates_of_crops`` gives the gates of all crops together, so that a batch
    normalisation in it sees the batch. Of others, and where a subclass changed the method but not
    ``gates_of_crops``, each crop is asked for by itself.

    Args:
        block (AttentionBlock): Which is asked.
        view (str): ``'gate'``, ``'coarse_gate'``, ``'gate_from_narrow'`` or ``'gate_from_wide'``.
        x (Tensor): What the method takes, (N, K, H, W).
        areas (OwnAreas): Where the pictures lie in it.
        *affine (Tensor, optional): The method's further arguments.

    Returns:
        Tensor | None: (N, G, h, w), h and w 1 or those of the map; None if the method says None.
    """
    crops = crop(x, areas)
    kind = type(block)
    is_told = _depth(kind, 'gates_of_crops') <= _depth(kind, view)
    together = block.gates_of_crops(view, crops, *affine) if is_told else None
    if together is None:
        together = [getattr(block, view)(one, *affine) for one in crops]
    gates = [gate for gate in together if gate is not None]
    if len(gates) < len(together):
        return None
    return lay_out(gates, crops, (x.shape[2], x.shape[3]))


def _depth(kind: type, name: str) -> int:
    """How far up the class is that defines a method: 0 is the class itself."""
    return next(place for place, parent in enumerate(kind.__mro__) if name in vars(parent))


def run_together(
    step: DepthwiseNorm, crops: Sequence[Tensor], *affine: Tensor | None
) -> Sequence[Tensor]:
    """Convolve maps of several sizes each by itself, and normalise them as one batch.

    Args:
        step (DepthwiseNorm): Does it.
        crops (Sequence[Tensor]): Each (n, C, h, w).
        *affine (Tensor, optional): Scale and shift before it.
    """
    if len(crops) == 1:
        return [step(crops[0], *affine)]
    crops = [step.convolve(x, *affine) for x in crops]
    columns = [one.transpose(0, 1).flatten(1) for one in crops]
    flat = normalise(step.bn, torch.cat(columns, 1)[None, :, :, None])[0, :, :, 0]
    parts = flat.split([column.shape[1] for column in columns], 1)
    return [
        part.unflatten(1, (one.shape[0], *one.shape[2:])).transpose(0, 1)
        for part, one in zip(parts, crops, strict=True)
    ]
