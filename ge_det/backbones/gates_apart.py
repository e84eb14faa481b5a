"""Gates that were loaded follow the trunk in training; those that were not learn."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .gated_resnet import GatedResNet

if TYPE_CHECKING:
    from typing_extensions import Self


class GatesApart(GatedResNet):
    """A GatedResNet in which ``frozen_stages`` and ``norm_eval`` are not for gates that are fresh.

    Attributes:
        freeze_gates (bool | None): See AttentionResNet.
        gate_norm_eval (bool | None): See AttentionResNet.
    """

    # mmdet's constructor freezes stages, so these must exist before it is through.
    freeze_gates: bool | None = None
    gate_norm_eval: bool | None = None
    _loaded_gates: frozenset[str] = frozenset()

    def settle_gates(self, loaded: Collection[str]) -> None:
        """Treat some gates as loaded and the others as fresh from now on.

        Args:
            loaded (Collection[str]): Names of the gates that follow the trunk in ``frozen_stages``
                and ``norm_eval``.
        """
        no_longer = self._loaded_gates.difference(loaded)
        self._loaded_gates = frozenset(loaded)
        for name, gate in self.gates().items():
            if name in no_longer and not self._is_frozen(name):
                gate.requires_grad_(True)
        self.train(self.training)

    def traps(self, fresh: Sequence[str]) -> list[str]:
        """Nothing keeps fresh gates from learning here."""
        return []

    def train(self, mode: bool = True) -> Self:
        """Set the mode, keep frozen stages and ``norm_eval`` as they are, and return self."""
        super().train(mode)
        if mode:
            for name, gate in self.gates().items():
                for norm in norms_of(gate):
                    norm.train(not self._norm_eval_of(name))
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
        return gate_name in self._loaded_gates if self.freeze_gates is None else self.freeze_gates

    def _frozen_gates(self) -> list[str]:
        return [name for name in self.gates() if self._is_frozen(name)]

    def _norm_eval_of(self, gate_name: str) -> bool:
        if self._is_frozen(gate_name):
            return True
        if self.gate_norm_eval is not None:
            return self.gate_norm_eval
        return self.norm_eval and gate_name in self._loaded_gates


def norms_of(gate: nn.Module) -> list[nn.Module]:
    """The batch normalisations in a gate."""
    return [module for module in gate.modules() if isinstance(module, _BatchNorm)]
