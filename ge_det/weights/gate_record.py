"""What a file tells about its gates beside their tensors.

An offline import notes under ``meta['ge_det']`` which gates learned and which have yet to. A block
without tensors, GE θ⁻, leaves no trace in the weights, so of a training nothing but the config that
MMEngine keeps in a checkpoint tells whether the network had it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ge_det.blocks import AttentionBlock
from ge_det.catalogue import CLASSES

from .report import LoadReport, Preservation

# The text of mmdet's longest config is a hundredth of it.
_LONGEST_CONFIG = 1 << 20

_WEIGHTLESS = {
    block.weightless_kind(variant.arguments)
    for block in CLASSES.values()
    for variant in block.variants
} - {None}


@dataclass(frozen=True)
class Weightless:
    """A block without tensors in the config of a trained network.

    Attributes:
        kind (str): Its :attr:`~ge_det.blocks.AttentionBlock.kind`.
        stages (tuple[bool, ...] | None): Which stages carry it; None for all.
    """

    kind: str
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

    Each maps a gate's name to its block as :func:`kind_of` says it.

    Attributes:
        trained (dict[str, str]): Gates noted as having learned.
        prepared (dict[str, str]): Gates that have yet to learn but for which the trunk was scaled.
        fresh (dict[str, str]): Gates that have yet to learn and mean nothing.
        weightless (tuple[Weightless, ...]): Blocks without tensors in the config that the network
            was trained with.
        knows_weightless (bool): Whether the file tells if the network had any.
    """

    trained: dict[str, str] = field(default_factory=dict)
    prepared: dict[str, str] = field(default_factory=dict)
    fresh: dict[str, str] = field(default_factory=dict)
    weightless: tuple[Weightless, ...] = ()
    knows_weightless: bool = False

    def trained_with(self, name: str, gate: nn.Module) -> bool:
        """Whether a gate has no tensors and the network was trained with it."""
        if not is_weightless(gate):
            return False
        kind = kind_of(gate)
        if self.trained.get(name) == kind:
            return True
        return any(used.kind == kind and used.stands_at(name) for used in self.weightless)

    def lost(self, gates: Mapping[str, nn.Module]) -> list[str]:
        """Clauses for gates that the trunk was made for and ``gates`` does not have."""
        clauses = []
        for noted, made in ((self.trained, 'trained with'), (self.prepared, 'scaled for')):
            missing = [
                name
                for name, block in noted.items()
                if block in _WEIGHTLESS and not (name in gates and kind_of(gates[name]) == block)
            ]
            if missing:
                clauses.append(
                    f'its trunk was {made} {len(missing)} gates {noted[missing[0]]!r}, the first '
                    f'{missing[0]!r}, which this backbone has not'
                )
        if self.weightless and not any(self.trained_with(n, gate) for n, gate in gates.items()):
            clauses.append(
                f'it was trained with {self.weightless[0].kind!r}, which this backbone has not'
            )
        return clauses


def is_weightless(gate: nn.Module) -> bool:
    """Whether a gate has no tensors, so that no file holds it."""
    return isinstance(gate, AttentionBlock) and not gate.state_dict()


def kind_of(gate: nn.Module) -> str:
    """Kind of a gate, such as ``'GatherExcite theta_minus 8'`` or ``'SqueezeExcite'``."""
    return gate.kind if isinstance(gate, AttentionBlock) else type(gate).__name__


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
    return {name: dict(block=kind_of(gates[name]), state=state) for name, state in states.items()}


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
        weightless=tuple(_weightless_in(str(config))) if tells else (),
        knows_weightless=isinstance(noted, Mapping) or isinstance(config, str),
    )


def _weightless_in(config: str) -> Iterator[Weightless]:
    """Blocks without tensors in a config's text, which is parsed and never run."""
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
            name = str(block.get('type')).split('.')[-1]
            kind = CLASSES[name].weightless_kind(block) if name in CLASSES else None
            if kind is not None:
                stages = _literal(around.get(stages_key))
                is_mask = isinstance(stages, (tuple, list))
                mask = tuple(bool(carries) for carries in stages) if is_mask else None
                yield Weightless(kind, mask)


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
