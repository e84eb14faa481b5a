"""Gates that were loaded, or have no effect yet, follow the trunk; the others learn."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ge_det.blocks import AttentionBlock
from ge_det.blocks.taking_back import can_be_constant, can_be_scaled

from .gated_resnet import GatedResNet

if TYPE_CHECKING:
    from typing_extensions import Self


class GatesApart(GatedResNet):
    """A GatedResNet in which ``frozen_stages`` and ``norm_eval`` are not for every gate.

    Attributes:
        freeze_gates (bool | None): See AttentionResNet.
        gate_norm_eval (bool | None): See AttentionResNet.
    """

    # mmdet's constructor freezes stages, so these must exist before it is through.
    freeze_gates: bool | None = None
    gate_norm_eval: bool | None = None
    _loaded_gates: frozenset[str] = frozenset()
    _without_effect: frozenset[str] = frozenset()

    def settle_gates(self, loaded: Collection[str], without_effect: Collection[str] = ()) -> None:
        """Treat some gates as loaded and the others as fresh from now on.

        Args:
            loaded (Collection[str]): Names of the gates that follow the trunk in ``frozen_stages``
                and ``norm_eval``.
            without_effect (Collection[str]): Names of fresh gates with which the network computes
                what it does without; they follow the trunk in ``frozen_stages``. Defaults to none.
        """
        frozen_before = (*self._loaded_gates, *self._without_effect)
        self._loaded_gates, self._without_effect = frozenset(loaded), frozenset(without_effect)
        no_longer = set(frozen_before).difference(loaded, without_effect)
        for name, gate in self.gates().items():
            if name in no_longer and not self._is_frozen(name):
                gate.requires_grad_(True)
        self.train(self.training)

    def traps(self, fresh: Sequence[str]) -> list[str]:
        """Nothing keeps fresh gates from learning here."""
        return []

    def train(self, mode: bool = True) -> Self:
        """Set the mode, keep frozen stages and ``norm_eval`` as they are, and return self."""
        changed = mode is not self.training
        super().train(mode)
        for name, gate in self.gates().items():
            for norm in norms_of(gate) if mode else ():
                norm.train(not self._norm_eval_of(name))
            if isinstance(gate, AttentionBlock):
                if self._is_frozen(name):
                    gate.note_constant(anew=changed)
                else:
                    gate.forget_constant()
        return self

    def _freeze_stages(self) -> None:
        learning = [
            gate
            for name, gate in self.gates().items()
            if self._stage_of(name) <= self.frozen_stages and not self._is_frozen(name)
        ]
        # As they were, not True: the user may have frozen some by hand.
        flags = [(p, p.requires_grad) for gate in learning for p in gate.parameters()]
        super()._freeze_stages()
        for parameter, flag in flags:
            parameter.requires_grad = flag
        for gate in learning:
            gate.train(self.training)

    @staticmethod
    def _stage_of(gate_name: str) -> int:
        return int(gate_name.split('.')[0].removeprefix('layer'))

    def _is_frozen(self, gate_name: str) -> bool:
        if self._stage_of(gate_name) > self.frozen_stages:
            return False
        if self.freeze_gates is not None:
            return self.freeze_gates
        return gate_name in self._loaded_gates or gate_name in self._without_effect

    def _can_be_preserved(self, fresh: Collection[str]) -> frozenset[str]:
        """Names of those of some fresh gates that an import can leave without effect."""
        gates, found = self.gates(), set[str]()
        for end in self.branch_ends():
            names = [f'{end.unit}.{plugin}' for plugin in end.plugins]
            if can_be_scaled(end.norm):
                found.update(takewhile(lambda n: n in fresh and can_be_constant(gates[n]), names))
        return frozenset(found)

    def _frozen_gates(self) -> list[str]:
        """Names of those with parameters."""
        named = self.gates().items()
        return [name for name, gate in named if self._is_frozen(name) and list(gate.parameters())]

    def _norm_eval_of(self, gate_name: str) -> bool:
        if self._is_frozen(gate_name):
            return True
        if self.gate_norm_eval is not None:
            return self.gate_norm_eval
        return self.norm_eval and gate_name in self._loaded_gates


def norms_of(gate: nn.Module) -> list[nn.Module]:
    """The batch normalisations in a gate."""
    return [module for module in gate.modules() if isinstance(module, _BatchNorm)]
