"""A checkpoint's backbone under our names, with what else the file tells about its gates."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ge_det.blocks import GatherExcite

from .checkpoint import read_checkpoint, split_backbone
from .download import CheckpointError
from .matching import covers
from .sources import find_source, guess_source, locate
from .sources.base import Source


@dataclass(frozen=True)
class BackboneWeights:
    """A backbone's tensors under the names of AttentionResNet.

    Attributes:
        path (Path): The file read.
        source (Source): Whose parameter names it has.
        state (dict[str, Tensor]): The backbone's tensors.
        others (dict[str, Tensor]): Tensors of the rest of a detector or classifier.
        network (dict): Arguments of AttentionResNet these weights were trained with, where they
            are not the default ones.
        objections (list[str]): Why no AttentionResNet computes what the trained network did.
        prepared_gates (frozenset[str]): Gates in the file that have yet to learn; see
            :mod:`ge_det.convert_weights`.
        theta_minus (tuple): Extents of GE θ⁻ in the network that was trained. θ⁻ has no tensors,
            so nothing but the config in the file tells.
        has_config (bool): Whether the file tells the config it was trained with.
    """

    path: Path
    source: Source
    state: dict[str, Tensor]
    others: dict[str, Tensor]
    network: dict[str, Any] = field(default_factory=dict)
    objections: list[str] = field(default_factory=list)
    prepared_gates: frozenset[str] = frozenset()
    theta_minus: tuple[Any, ...] = ()
    has_config: bool = False

    def fills(self, name: str, gate: nn.Module) -> bool:
        """Whether the file holds all of a gate, so that it need not start anew."""
        if name in self.prepared_gates:
            return True
        if isinstance(gate, GatherExcite) and gate.variant == 'theta_minus':
            return gate.extent in self.theta_minus
        return covers(self.state, gate, f'{name}.')

    def trained(self, name: str, gate: nn.Module) -> bool:
        """Whether the file holds all of a gate, and it has learned."""
        return name not in self.prepared_gates and self.fills(name, gate)


def read_backbone_weights(checkpoint: str, source: str | None = None) -> BackboneWeights:
    """Read a checkpoint and bring its backbone under the names of AttentionResNet.

    Args:
        checkpoint (str): Path, http(s) URL, or model name of the source.
        source (str, optional): A key of :data:`~ge_det.weights.sources.SOURCES`. Defaults to
            None: told by the names in the file.

    Returns:
        BackboneWeights: The tensors and what is known of them.

    Raises:
        CheckpointError: If there is no such file or model, or it cannot be read.
        ValueError: If there is no such source.
    """
    told = None if source is None else find_source(source)
    content = read_checkpoint(told.locate(checkpoint) if told else locate(checkpoint))
    origin = told or guess_source(content.state)
    try:
        own, others = split_backbone(content.state)
    except CheckpointError as error:
        raise CheckpointError(f'{checkpoint}: {error}') from error
    config = content.meta.get('cfg')
    fresh, prepared = _gates_to_learn(content.meta)
    # Gates that neither learned nor were prepared say nothing.
    own = {k: v for k, v in own.items() if prepared or not k.startswith(fresh)}
    return BackboneWeights(
        path=content.path,
        source=origin,
        state=origin.rename(own),
        others=others,
        network=origin.network(own),
        objections=origin.objections(own),
        prepared_gates=frozenset(name.removesuffix('.') for name in fresh if prepared),
        theta_minus=_theta_minus_extents(config) if isinstance(config, str) else (),
        has_config=isinstance(config, str),
    )


def _gates_to_learn(meta: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
    """Prefixes of the gates an offline import left to learn, and whether it prepared them."""
    note = meta.get('ge_det')
    if not isinstance(note, Mapping) or not isinstance(note.get('fresh_gates'), (list, tuple)):
        return (), False
    return tuple(f'{name}.' for name in note['fresh_gates']), note.get('preserved') is True


def _theta_minus_extents(config: str) -> tuple[Any, ...]:
    """Extents of GE θ⁻ in the text of a config.

    The text is parsed and never run: a checkpoint of a stranger must not run code.
    """
    try:
        tree = ast.parse(config)
    except (SyntaxError, ValueError, RecursionError):
        return ()
    extents = []
    for node in ast.walk(tree):
        arguments = _literal_arguments(node)
        kind = arguments.get('type')
        is_ge = isinstance(kind, str) and kind.split('.')[-1] == 'GatherExcite'
        if is_ge and arguments.get('variant', 'theta_minus') == 'theta_minus':
            extents.append(arguments.get('extent', 'global'))
    return tuple(extents)


def _literal_arguments(node: ast.AST) -> dict[str, Any]:
    """Names and values of ``dict(name=value)`` or ``{'name': value}``, constants only."""
    pairs: list[tuple[Any, ast.AST]] = []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        pairs = [(keyword.arg, keyword.value) for keyword in node.keywords]
    elif isinstance(node, ast.Dict):
        pairs = [
            (key.value, value)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant)
        ]
    return {name: value.value for name, value in pairs if isinstance(value, ast.Constant)}
