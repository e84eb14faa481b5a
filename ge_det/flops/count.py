"""What a network costs: its parameters and FLOPs, with what the gates do counted in full.

MMEngine's counter traces the network once; this gives it the rules it lacks
(:mod:`.rules`) and keeps gates and trunk apart.

A block is counted by its formula, step by step (:mod:`.formulas`), not by what its fast path
happens to run. So the figure belongs to the method, and the same network always has the same cost.

Counters disagree on what is worth counting, hence :data:`CONVENTIONS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from mmengine.analysis import FlopAnalyzer
from torch import Tensor, nn

from ge_det.backbones import AttentionResNet
from ge_det.blocks import AttentionBlock

from .formulas import as_published
from .rules import RULES

MULTIPLY_ADDS = frozenset({'conv', 'linear', 'addmm', 'mm', 'bmm', 'matmul', 'einsum'})
POOLING = frozenset({'max_pool2d', 'avg_pool2d', 'adaptive_avg_pool2d'})
_NORMS = frozenset({'batch_norm', 'group_norm', 'layer_norm', 'instance_norm'})
_RESAMPLING = frozenset({'upsample_nearest2d', 'upsample_bilinear2d', 'grid_sampler'})

CONVENTIONS: dict[str, frozenset[str] | None] = {
    'multiply-adds': MULTIPLY_ADDS,
    'pooling': MULTIPLY_ADDS | POOLING,
    'sums': MULTIPLY_ADDS | POOLING | {'add'},
    'layers': MULTIPLY_ADDS | POOLING | {'batch_norm', 'relu'},
    'mmengine': MULTIPLY_ADDS | _NORMS | _RESAMPLING | {'adaptive_avg_pool2d'},
    'all': None,
}
"""Names of the operations that each convention counts; None counts every one that has a rule.

``'multiply-adds'`` are convolutions, linear layers and matrix products. ``'pooling'`` adds pooling,
``'sums'`` to that additions, such as those of the shortcuts, and ``'layers'`` batch normalisation
and ReLU instead, as counters do that hook on torch's layers. ``'mmengine'`` is MMEngine's own
choice, so what mmdet's and mmpretrain's tools print.
"""


@dataclass(frozen=True)
class Parameters:
    """Numbers of a module's parameters.

    Args:
        total (int): All of them.
        trainable (int): Those that are not frozen.
        statistics (int): Elements of running means and variances, which are none, but some papers
            add them.
    """

    total: int
    trainable: int
    statistics: int

    @classmethod
    def of(cls, module: nn.Module) -> Parameters:
        """Count a module's own and its children's."""
        parameters = list(module.parameters())
        return cls(
            sum(p.numel() for p in parameters),
            sum(p.numel() for p in parameters if p.requires_grad),
            sum(
                buffer.numel()
                for name, buffer in module.named_buffers()
                if name.endswith(('running_mean', 'running_var'))
            ),
        )

    def __add__(self, other: Parameters) -> Parameters:
        return Parameters(
            self.total + other.total,
            self.trainable + other.trainable,
            self.statistics + other.statistics,
        )

    def __sub__(self, other: Parameters) -> Parameters:
        return self + Parameters(-other.total, -other.trainable, -other.statistics)


@dataclass(frozen=True)
class NetworkCost:
    """What :func:`count_cost` counted; parts are named as in ``named_modules``, '' is the whole.

    Args:
        parameters (Mapping[str, Parameters]): By part.
        operations (Mapping[str, Mapping[str, int]]): By part, FLOPs by the name of the operation.
            Parts inside a block are those of its formula.
        gates (Mapping[str, str]): Names of the attention blocks, and of their types.
        without_rule (Mapping[str, Mapping[str, int]]): By part, how often it ran operations that
            have no rule, which no figure contains.
    """

    parameters: Mapping[str, Parameters]
    operations: Mapping[str, Mapping[str, int]]
    gates: Mapping[str, str]
    without_rule: Mapping[str, Mapping[str, int]]

    def gates_in(self, part: str = '') -> list[str]:
        """Names of the gates inside a part, itself included."""
        return [name for name in self.gates if not part or f'{name}.'.startswith(f'{part}.')]

    def gate_parameters(self, part: str = '') -> Parameters:
        """Parameters of the gates inside a part."""
        return sum(
            (self.parameters[gate] for gate in self.gates_in(part)), start=Parameters(0, 0, 0)
        )

    def gate_flops(self, part: str = '', convention: str = 'all') -> int:
        """FLOPs of the gates inside a part."""
        return sum(_select(self.operations[gate], convention) for gate in self.gates_in(part))

    def flops(self, part: str = '', trunk: str = 'mmengine', gates: str = 'all') -> int:
        """FLOPs of a part for one forward pass.

        Args:
            part (str): Name of the module. Defaults to the whole network.
            trunk (str): Convention for what is outside the gates. Defaults to ``'mmengine'``, so
                that a plain network costs what everybody prints.
            gates (str): Convention for the gates. Defaults to ``'all'``.

        Returns:
            int: For the inputs that were traced.

        Raises:
            ValueError: If there is no such convention.
        """
        outside = _select(self.operations[part], trunk) - self.gate_flops(part, trunk)
        return outside + self.gate_flops(part, gates)


def _select(operations: Mapping[str, int], convention: str) -> int:
    if convention not in CONVENTIONS:
        raise ValueError(
            f'convention {convention!r} is not known: it must be one of {", ".join(CONVENTIONS)}'
        )
    counted = CONVENTIONS[convention]
    return sum(n for name, n in operations.items() if counted is None or name in counted)


def blocks_in(model: nn.Module) -> dict[str, nn.Module]:
    """The attention blocks of any model by name, whichever way they came into it."""
    found: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        if isinstance(module, AttentionBlock):
            found[name] = module
        elif isinstance(module, AttentionResNet):
            start = f'{name}.' if name else ''
            found.update({start + gate: block for gate, block in module.gates().items()})
    return found


def count_cost(model: nn.Module, *inputs: Tensor) -> NetworkCost:
    """Count the parameters and the FLOPs of a model in evaluation.

    Args:
        model (nn.Module): Any model that ``torch.jit.trace`` can follow. It is left as it was.
        *inputs (Tensor): Arguments of its forward pass, one image for figures per image. Their
            values do not matter, unless the model decides by them, as two-stage detectors do.

    Returns:
        NetworkCost: Costs of the model, of each of its modules and of the gates.

    Examples:
        >>> block = ge_det.SqueezeExcite(256)
        >>> count_cost(block, torch.zeros(1, 256, 7, 7)).flops()
        33552
    """
    gates = blocks_in(model)
    parameters = {name: Parameters.of(module) for name, module in model.named_modules()}
    with _by_formula(model, gates) as network, torch.no_grad():
        analyzer = FlopAnalyzer(network, inputs).set_op_handle(**RULES)
        analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        analyzer.tracer_warnings('none')
        operations = analyzer.by_module_and_operator()
        without_rule = {name: analyzer.unsupported_ops(name) for name in operations}
    return NetworkCost(
        parameters=parameters,
        operations={name: _integers(counts) for name, counts in operations.items()},
        gates={name: type(gate).__name__ for name, gate in gates.items()},
        without_rule=without_rule,
    )


@contextmanager
def _by_formula(model: nn.Module, gates: Mapping[str, nn.Module]) -> Iterator[nn.Module]:
    """The model in evaluation, its blocks written out and nothing fused, for a while."""
    transcribed = {name: _transcribe(gate) for name, gate in gates.items()}
    training = {module: module.training for module in model.modules()}
    # The counter's scopes are modules, and a fused unit does not run its modules.
    fused = {m: m.fused for m in model.modules() if isinstance(getattr(m, 'fused', None), bool)}
    try:
        for module in fused:
            vars(module)['fused'] = False
        for name, gate in transcribed.items():
            _put(model, name, gate)
        network = transcribed.get('', model)
        network.eval()
        yield network
    finally:
        for name, gate in gates.items():
            _put(model, name, gate)
        for module, allowed in fused.items():
            vars(module)['fused'] = allowed
        for module, value in training.items():
            module.training = value


def _transcribe(gate: nn.Module) -> nn.Module:
    try:
        return as_published(gate)  # type: ignore[arg-type]
    except TypeError:  # Somebody's own block: counted as it runs.
        return gate


def _put(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own_name = name.rpartition('.')
    if own_name:
        setattr(model.get_submodule(parent), own_name, module)


def _integers(counts: Mapping[str, float]) -> dict[str, int]:
    return {name: int(count) for name, count in counts.items() if count}
