"""A checkpoint's backbone under our names, with what else the file tells about its gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ge_det.blocks.taking_back import is_weightless
from ge_det.errors import CheckpointError

from .backbone_part import BackbonePart, split_backbone
from .caffe import is_named_caffe
from .checkpoint import Checkpoint, read_checkpoint
from .gate_record import GateRecord, kind_of, read_record
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
        network (dict): ``style`` and ``stem_pool`` these weights were trained with, where anything
            tells.
        objections (list[str]): Why no AttentionResNet computes what the trained network did.
        gates (GateRecord): What the file tells about its gates beside their tensors.
        choice (str | None): Which of several networks in the file was taken, and how to take
            another; None if there is one only.
    """

    path: Path
    source: Source
    state: dict[str, Tensor]
    others: dict[str, Tensor]
    network: dict[str, Any] = field(default_factory=dict)
    objections: list[str] = field(default_factory=list)
    gates: GateRecord = field(default_factory=GateRecord)
    choice: str | None = None

    def fills(self, name: str, gate: nn.Module) -> bool:
        """Whether the file holds all of a gate, so that it need not start anew."""
        if name in self.gates.fresh:
            return False
        if name in self.gates.prepared and self.gates.prepared[name] != kind_of(gate):
            return False
        if is_weightless(gate):
            return name in self.gates.prepared or self.gates.trained_with(name, gate)
        return covers(self.state, gate, f'{name}.')

    def trained(self, name: str, gate: nn.Module) -> bool:
        """Whether the file holds all of a gate, and it has learned."""
        return name not in self.gates.prepared and self.fills(name, gate)


def read_backbone_weights(
    checkpoint: str, source: str | None = None, key: str | None = None
) -> BackboneWeights:
    """Read a checkpoint and bring its backbone under the names of AttentionResNet.

    Args:
        checkpoint (str): Path, http(s) URL, or model name of the source.
        source (str, optional): A key of :data:`~ge_det.weights.sources.SOURCES`. Defaults to
            None: told by the names in the file.
        key (str, optional): Which of several networks in the file; see
            :func:`~ge_det.weights.checkpoint.read_checkpoint`. Defaults to None: see ``choice``.

    Returns:
        BackboneWeights: The tensors and what is known of them.

    Raises:
        CheckpointError: If there is no such file or model, or it cannot be read.
        ValueError: If there is no such source.
    """
    told = None if source is None else find_source(source)
    content = read_checkpoint(told.locate(checkpoint) if told else locate(checkpoint), key)
    try:
        part = split_backbone(content.state)
    except CheckpointError as error:
        raise CheckpointError(f'{checkpoint}: {error}') from error
    # The names in the file tell the source, and so do those that wrappers hide.
    origin = told or guess_source({**content.state, **part.others, **part.own})
    record = read_record(content.meta)
    meaningless = tuple(f'{name}.' for name in record.fresh)
    own = {key: value for key, value in part.own.items() if not key.startswith(meaningless)}
    return BackboneWeights(
        path=content.path,
        source=origin,
        state=origin.rename(own),
        others=part.others,
        network=_network(content, origin, own, told is not None),
        objections=origin.objections(own),
        gates=record,
        choice=_choice(content, part),
    )


def _choice(content: Checkpoint, part: BackbonePart) -> str | None:
    taken = content.key or 'the file itself'
    for name, keys in ((taken, content.other_keys), (part.prefix.rstrip('.'), part.other_keys)):
        if keys:
            others = ' or '.join(f'key={key!r}' for key in keys)
            return f'of several networks in the file, {name!r} was taken; {others} takes another'
    return None


def _network(
    content: Checkpoint, source: Source, state: Mapping[str, Tensor], is_told: bool
) -> dict[str, Any]:
    """Arguments of AttentionResNet that the weights need, as far as anything tells."""
    note = content.meta.get('ge_det')
    noted = note.get('network') if isinstance(note, Mapping) else None
    if isinstance(noted, Mapping):
        allowed = dict(style=('pytorch', 'caffe'), stem_pool=('padded', 'ceil'))
        texts = {k: v for k, v in noted.items() if isinstance(v, str)}
        return {k: texts[k] for k, values in allowed.items() if texts.get(k) in values}
    # Weights of Caffe's networks may stand under torchvision's names, too.
    found = source.network(state) if is_told or source.recognises(state) else {}
    return found | (dict(style='caffe') if is_named_caffe(content.path) else {})
