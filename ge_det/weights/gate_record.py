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
from ge_det.blocks.taking_back import is_weightless
from ge_det.catalogue import CLASSES, NAMES, attention_config
from ge_det.words import counted

from .report import LoadReport, Preservation

# The text of mmdet's longest config is a tenth of it. Some texts take the square of their length.
_LONGEST_CONFIG = 1 << 17

# The kinds that our own blocks have; files before notes of it have no others.
_WEIGHTLESS = frozenset(
    kind
    for block in CLASSES.values()
    for variant in block.variants
    if (kind := block.weightless_kind(variant.arguments))
)


@dataclass(frozen=True)
class UsedBlock:
    """A block in the config of a trained network.

    Attributes:
        type (str): Its type there, such as ``'ge_det.GatherExcite'``.
        arguments (dict): Its other entries, as far as they are literals.
        stages (tuple[bool, ...] | None): Which stages carry it; None for all.
    """

    type: str
    arguments: dict[str, Any] = field(default_factory=dict)
    stages: tuple[bool, ...] | None = None

    @property
    def weightless_kind(self) -> str | None:
        """Its kind if it is a block of ours that has no tensors."""
        scope, _, name = self.type.rpartition('.')
        is_ours = scope in ('', 'ge_det') and name in CLASSES
        return CLASSES[name].weightless_kind(self.arguments) if is_ours else None

    def is_of(self, gate: AttentionBlock) -> bool:
        """Whether a gate without tensors, also a user's own, may be this block."""
        own, name = type(gate), self.type.rpartition('.')[2]
        return own.__name__ == name and own.weightless_kind(self.arguments) == gate.kind

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
        used (tuple[UsedBlock, ...]): Blocks in the config that the network was trained with.
        weightless (frozenset[str]): Kinds of blocks without tensors.
        knows_weightless (bool): Whether the file tells if the network had any.
    """

    trained: dict[str, str] = field(default_factory=dict)
    prepared: dict[str, str] = field(default_factory=dict)
    fresh: dict[str, str] = field(default_factory=dict)
    used: tuple[UsedBlock, ...] = ()
    weightless: frozenset[str] = _WEIGHTLESS
    knows_weightless: bool = False

    def trained_with(self, name: str, gate: nn.Module) -> bool:
        """Whether a gate has no tensors and the network was trained with it."""
        if not is_weightless(gate):
            return False
        if self.trained.get(name) == gate.kind:
            return True
        return any(used.is_of(gate) and used.stands_at(name) for used in self.used)

    def lost(self, gates: Mapping[str, nn.Module]) -> list[str]:
        """Clauses for gates that the trunk was made for and ``gates`` does not have."""
        clauses = []
        for noted, made in ((self.trained, 'trained with'), (self.prepared, 'scaled for')):
            missing = [
                name
                for name, block in noted.items()
                if block in self.weightless
                and not (name in gates and kind_of(gates[name]) == block)
            ]
            if missing:
                gates_of = f'{counted(len(missing), "gate")} {noted[missing[0]]!r}'
                clauses.append(
                    f'its trunk was {made} {gates_of}, the first {missing[0]!r}, which this '
                    'backbone has not'
                )
        used = [kind for block in self.used if (kind := block.weightless_kind)]
        if used and not any(self.trained_with(n, gate) for n, gate in gates.items()):
            clauses.append(f'it was trained with {used[0]!r}, which this backbone has not')
        return clauses


def kind_of(gate: nn.Module) -> str:
    """Kind of a gate, such as ``'GatherExcite theta_minus 8'`` or ``'SqueezeExcite'``."""
    return gate.kind if isinstance(gate, AttentionBlock) else type(gate).__name__


def note_of(gates: Mapping[str, nn.Module], report: LoadReport) -> dict[str, dict[str, Any]]:
    """What to write under ``meta['ge_det']['gates']`` after an import.

    Args:
        gates (Mapping[str, nn.Module]): All gates of the network by name.
        report (LoadReport): What the import reported.

    Returns:
        dict: Of each gate its ``block``, its ``state`` (trained, prepared or fresh) and whether it
        is ``weightless``.
    """
    done = report.preserved or Preservation()
    states = {
        **dict.fromkeys(report.loaded_gates, 'trained'),
        **dict.fromkeys(report.fresh_gates, 'fresh'),
        **dict.fromkeys((*report.prepared_gates, *done.exact, *done.approximate), 'prepared'),
    }
    return {
        name: dict(block=kind_of(gate), state=states[name], weightless=is_weightless(gate))
        for name, gate in gates.items()
        if name in states
    }


def read_record(meta: Mapping[str, Any]) -> GateRecord:
    """Read what a checkpoint's ``meta`` tells; what has not the form expected is left out."""
    config, note = meta.get('cfg'), meta.get('ge_det')
    noted = note.get('gates') if isinstance(note, Mapping) else None
    by_state: dict[str, dict[str, str]] = dict(trained={}, prepared={}, fresh={})
    weightless: set[str] = set()
    if isinstance(noted, Mapping):
        for name, entry in noted.items():
            state = entry.get('state') if isinstance(entry, Mapping) else None
            if isinstance(state, str) and state in by_state:
                by_state[state][str(name)] = str(entry.get('block'))
                if entry.get('weightless') is True:
                    weightless.add(str(entry.get('block')))
    # The note is younger than the config of the training it was made from.
    tells = isinstance(config, str) and not isinstance(noted, Mapping)
    used = _blocks_in(str(config)) if tells else None
    return GateRecord(
        **by_state,
        used=tuple(used or ()),
        weightless=_WEIGHTLESS | weightless,
        knows_weightless=isinstance(noted, Mapping) or used is not None,
    )


def _blocks_in(config: str) -> list[UsedBlock] | None:
    """Blocks in the text of a config, which is parsed and never run: it may be a stranger's.

    None if it cannot be parsed.
    """
    if len(config) > _LONGEST_CONFIG:
        return None
    try:
        return list(_blocks_of(ast.parse(config)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _blocks_of(tree: ast.AST) -> Iterator[UsedBlock]:
    for node in ast.walk(tree):
        around = _entries(node)
        for block_key, stages_key in (('attention', 'attention_stages'), ('cfg', 'stages')):
            block = _block(around.get(block_key))
            kind = block.pop('type', None)
            if isinstance(kind, str):
                stages = _literal(around.get(stages_key))
                is_mask = isinstance(stages, (tuple, list))
                mask = tuple(bool(carries) for carries in stages) if is_mask else None
                yield UsedBlock(kind, block, mask)


def _block(node: ast.AST | None) -> dict[str, Any]:
    """Type and arguments of a block, which a short name stands for as well."""
    block = {k: _literal(v) for k, v in _entries(node).items()}
    name = block.pop('type', None) if block else _literal(node)
    if isinstance(name, str) and name in NAMES:
        return {**(attention_config(name) or {}), **block}
    return {**block, 'type': name}


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
