"""What a file tells about its gates beside their tensors.

An offline import (:mod:`ge_det.cli.offline_import`) notes under ``meta['ge_det']`` which gates learned
and which have yet to. GE θ⁻ has no tensors, so of a training nothing but the config that MMEngine
keeps in a checkpoint tells whether the network had it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from torch import nn

from ge_det.blocks import GatherExcite

from .report import LoadReport, Preservation

# The text of mmdet's longest config is a hundredth of it.
_LONGEST_CONFIG = 1 << 20


@dataclass(frozen=True)
class ThetaMinus:
    """GE θ⁻ in the config of a trained network.

    Attributes:
        extent (str | int): Its extent.
        stages (tuple[bool, ...] | None): Which stages carry it; None for all.
    """

    extent: Any
    stages: tuple[bool, ...] | None = None

    def stands_at(self, name: str) -> bool:
        """Whether a gate's name, such as ``'layer1.0.ge'``, is in one of its stages."""
        stage = name.split('.')[0].removeprefix('layer')
        if self.stages is None or not stage.isdigit():
            return True
        return 0 < int(stage) <= len(self.stages) and self.stages[int(stage) - 1]


@dataclass(frozen=True)
class GateRecord:
    """Gates of the network that a file was written from.

    Each maps a gate's name to its block as :func:`block_of` says it.

    Attributes:
        trained (dict[str, str]): Gates noted as having learned.
        prepared (dict[str, str]): Gates that have yet to learn but for which the trunk was scaled.
        fresh (dict[str, str]): Gates that have yet to learn and mean nothing.
        theta_minus (tuple[ThetaMinus, ...]): θ⁻ in the config the network was trained with.
        knows_theta_minus (bool): Whether the file tells if the network had θ⁻.
    """

    trained: dict[str, str] = field(default_factory=dict)
    prepared: dict[str, str] = field(default_factory=dict)
    fresh: dict[str, str] = field(default_factory=dict)
    theta_minus: tuple[ThetaMinus, ...] = ()
    knows_theta_minus: bool = False

    def trained_with(self, name: str, gate: nn.Module) -> bool:
        """Whether a gate is θ⁻ and the network was trained with it."""
        if not is_theta_minus(gate):
            return False
        if self.trained.get(name) == block_of(gate):
            return True
        return any(used.extent == gate.extent and used.stands_at(name) for used in self.theta_minus)

    def lost(self, gates: Mapping[str, nn.Module]) -> list[str]:
        """Clauses for θ⁻ gates that the trunk was made for and ``gates`` does not have."""
        clauses = []
        for noted, made in ((self.trained, 'trained with'), (self.prepared, 'scaled for')):
            missing = [
                name
                for name, block in noted.items()
                if 'theta_minus' in block and not (name in gates and block_of(gates[name]) == block)
            ]
            if missing:
                clauses.append(
                    f'its trunk was {made} {len(missing)} gates {noted[missing[0]]!r}, the first '
                    f'{missing[0]!r}, which this backbone has not'
                )
        if self.theta_minus and not any(self.trained_with(n, gate) for n, gate in gates.items()):
            clauses.append(
                f'it was trained with GE theta-minus, extent {self.theta_minus[0].extent!r}, which '
                'this backbone has not'
            )
        return clauses


def is_theta_minus(gate: nn.Module) -> TypeGuard[GatherExcite]:
    """Whether a gate is GE θ⁻, which has no tensors."""
    return isinstance(gate, GatherExcite) and gate.variant == 'theta_minus'


def block_of(gate: nn.Module) -> str:
    """Kind of a gate, such as ``'GatherExcite theta_minus 8'`` or ``'SqueezeExcite'``."""
    kind = type(gate).__name__
    return f'{kind} {gate.variant} {gate.extent}' if isinstance(gate, GatherExcite) else kind


def note_of(gates: Mapping[str, nn.Module], report: LoadReport) -> dict[str, dict[str, str]]:
    """What to write under ``meta['ge_det']['gates']`` after an import.

    Args:
        gates (Mapping[str, nn.Module]): All gates of the network by name.
        report (LoadReport): What the import reported.

    Returns:
        dict: Of each gate its ``block`` and its ``state``: trained, prepared or fresh.
    """
    done = report.preserved or Preservation()
    states = {
        **dict.fromkeys(report.loaded_gates, 'trained'),
        **dict.fromkeys(report.fresh_gates, 'fresh'),
        **dict.fromkeys((*report.prepared_gates, *done.exact, *done.approximate), 'prepared'),
    }
    return {name: dict(block=block_of(gates[name]), state=state) for name, state in states.items()}


def read_record(meta: Mapping[str, Any]) -> GateRecord:
    """Read what a checkpoint's ``meta`` tells; what has not the form expected is left out."""
    config, note = meta.get('cfg'), meta.get('ge_det')
    noted = note.get('gates') if isinstance(note, Mapping) else None
    by_state: dict[str, dict[str, str]] = dict(trained={}, prepared={}, fresh={})
    if isinstance(noted, Mapping):
        for name, entry in noted.items():
            if isinstance(entry, Mapping) and entry.get('state') in by_state:
                by_state[entry['state']][str(name)] = str(entry.get('block'))
    # The note is younger than the config of the training it was made from.
    tells = isinstance(config, str) and not isinstance(noted, Mapping)
    return GateRecord(
        **by_state,
        theta_minus=tuple(_theta_minus_in(str(config))) if tells else (),
        knows_theta_minus=isinstance(noted, Mapping) or isinstance(config, str),
    )


def _theta_minus_in(config: str) -> Iterator[ThetaMinus]:
    """GE θ⁻ in the text of a config, which is parsed and never run: it may be a stranger's."""
    if len(config) > _LONGEST_CONFIG:
        return
    try:
        tree = ast.parse(config)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        around = _entries(node)
        for block_key, stages_key in (('attention', 'attention_stages'), ('cfg', 'stages')):
            block = {k: _literal(v) for k, v in _entries(around.get(block_key)).items()}
            kind = block.get('type')
            is_ge = isinstance(kind, str) and kind.split('.')[-1] == 'GatherExcite'
            if is_ge and block.get('variant', 'theta_minus') == 'theta_minus':
                stages = _literal(around.get(stages_key))
                is_mask = isinstance(stages, (tuple, list))
                mask = tuple(bool(carries) for carries in stages) if is_mask else None
                yield ThetaMinus(block.get('extent', 'global'), mask)


def _entries(node: ast.AST | None) -> dict[Any, ast.AST]:
    """Names and values of ``dict(name=value)`` or ``{'name': value}``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        return {keyword.arg: keyword.value for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {key.value: value for key, value in pairs if isinstance(key, ast.Constant)}
    return {}


def _literal(node: ast.AST | None) -> Any:
    try:
        return ast.literal_eval(node) if node is not None else None
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None
