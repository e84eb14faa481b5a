"""What reaches the gates without weights in a network, to fit a scale for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ge_det.blocks import AttentionBlock


@torch.no_grad()
def statistics_before(
    plain: nn.Module, gates: Mapping[str, AttentionBlock], images: Sequence[Tensor]
) -> dict[str, tuple[Tensor, ...]]:
    """What each gate says of its inputs in the plain network.

    Args:
        plain (nn.Module): The network in eval mode with an Identity at each gate's name.
        gates (Mapping[str, AttentionBlock]): Gates without weights by name.
        images (Sequence[Tensor]): Normalised images (N, 3, H, W).

    Returns:
        dict[str, tuple[Tensor, ...]]: For each gate its
        :meth:`~ge_det.blocks.AttentionBlock.scale_statistics` over all images. Empty without
        images.
    """
    if not (images and gates):
        return {}
    collected: dict[str, list[tuple[Tensor, ...]]] = {name: [] for name in gates}

    def collect(name: str) -> Any:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            collected[name].append(gates[name].scale_statistics(inputs[0]) or ())

        return hook

    handles = [plain.get_submodule(n).register_forward_pre_hook(collect(n)) for n in gates]
    like = next(plain.parameters())
    for batch in images:
        plain(batch.to(like))
    for handle in handles:
        handle.remove()
    return {
        name: tuple(torch.cat(parts) for parts in zip(*batches, strict=True))
        for name, batches in collected.items()
    }
