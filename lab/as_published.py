"""Networks with the blocks as published: the slow side of every comparison of times.

The formulas themselves are :func:`ge_det.flops.formulas.as_published`, which costs are counted by.
"""

from __future__ import annotations

from torch import nn

from ge_det.blocks import AttentionBlock
from ge_det.flops.formulas import as_published

__all__ = ['as_published', 'replace_blocks']


def replace_blocks(network: nn.Module) -> int:
    """Put the transcription in the place of every attention block of a network.

    Args:
        network (nn.Module): Changed in place.

    Returns:
        int: How many blocks there were.
    """
    found = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, AttentionBlock)
    ]
    for parent, name, child in found:
        setattr(parent, name, as_published(child))
    return len(found)
