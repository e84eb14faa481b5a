"""What a network with blocks tells of them, and who answers for networks of others.

The Protocol between networks, which stand below, and the weights that fill them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .base import AttentionBlock


class BranchEnd(NamedTuple):
    """The end of a residual branch that carries plugins.

    Attributes:
        unit (str): Name of the residual unit, such as ``'layer1.0'``.
        plugins (list[str]): Names inside the unit, in the order of execution.
        norm (nn.Module): The normalisation before them.
    """

    unit: str
    plugins: list[str]
    norm: nn.Module


@runtime_checkable
class GatedBackbone(Protocol):
    """A backbone that knows its gates; AttentionResNet is one."""

    def gates(self) -> dict[str, nn.Module]:
        """The attention blocks by name, such as ``'layer1.0.se_layer'``."""

    def stage_names(self) -> list[str]:
        """Names of the residual stages, such as ``'layer1'``."""

    def branch_ends(self) -> Iterator[BranchEnd]:
        """Where plugins end residual branches."""

    def network(self) -> dict[str, str]:
        """``style`` and ``stem_pool``, as far as the network has them."""

    def settle_gates(self, loaded: Collection[str], without_effect: Collection[str] = ()) -> None:
        """Treat these gates as loaded and the others as fresh, some without effect as yet."""

    def traps(self, fresh: Sequence[str]) -> list[str]:
        """Why fresh gates would not learn, a sentence each."""


def as_gated(backbone: nn.Module) -> GatedBackbone:
    """The backbone itself if it knows its gates, or who answers for it."""
    return backbone if isinstance(backbone, GatedBackbone) else PluginBackbone(backbone)


def stem_pool_of(pool: Any) -> str | None:
    """``'ceil'`` or ``'padded'`` of a max pool, None for anything else."""
    ceil_mode = getattr(pool, 'ceil_mode', None)
    return None if ceil_mode is None else 'ceil' if ceil_mode else 'padded'


class PluginBackbone:
    """Answers for a network that carries the blocks in ``plugins=``, such as mmdet's ResNet.

    Args:
        module (nn.Module): The network.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module: Any = module

    def gates(self) -> dict[str, nn.Module]:
        """All attention blocks."""
        return {n: m for n, m in self._module.named_modules() if isinstance(m, AttentionBlock)}

    def stage_names(self) -> list[str]:
        """Those of mmdet's ResNet."""
        return list(getattr(self._module, 'res_layers', ('layer1', 'layer2', 'layer3', 'layer4')))

    def branch_ends(self) -> Iterator[BranchEnd]:
        """The units of mmdet's Bottleneck and its kin."""
        for name, unit in self._module.named_modules():
            plugins = getattr(unit, 'after_conv3_plugin_names', None)
            if plugins:
                yield BranchEnd(name, list(plugins), unit.norm3)

    def network(self) -> dict[str, str]:
        """What mmdet's ResNet says of itself."""
        found = dict(
            style=getattr(self._module, 'style', None),
            stem_pool=stem_pool_of(getattr(self._module, 'maxpool', None)),
        )
        return {name: value for name, value in found.items() if value is not None}

    def settle_gates(self, loaded: Collection[str], without_effect: Collection[str] = ()) -> None:
        """Nothing: all gates follow the trunk."""

    def traps(self, fresh: Sequence[str]) -> list[str]:
        """What mmdet's own backbones do to gates that are to learn."""
        notes = []
        modules = [self._module.get_submodule(name) for name in fresh]
        frozen = [
            module
            for module in modules
            if not any(parameter.requires_grad for parameter in module.parameters())
        ]
        if frozen:
            notes.append(
                f'{len(frozen)} fresh gates stand in frozen stages and will not learn: '
                'lower frozen_stages, or use AttentionResNet'
            )
        has_norm = any(isinstance(m, _BatchNorm) for gate in modules for m in gate.modules())
        if has_norm and getattr(self._module, 'norm_eval', False):
            notes.append(
                'norm_eval=True keeps the batch normalisation in fresh gates on mean 0 and '
                'variance 1: set norm_eval=False, or use AttentionResNet'
            )
        return notes
