"""What the user of an import should know that does not stop it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from ge_det.blocks.gated_backbone import as_gated
from ge_det.reading.download import hash_in_name

from .backbone_weights import BackboneWeights
from .caffe import caffe_note
from .gate_record import kind_of
from .report import LoadReport

# Files of these could be from a training with ge_det.
_MAY_BE_OURS = ('ge_det', 'mmpretrain')


def find_notes(
    backbone: nn.Module,
    weights: BackboneWeights,
    gates: Mapping[str, nn.Module],
    report: LoadReport,
) -> list[str]:
    """What a report should say beside what was loaded, a sentence each."""
    said = (weights.choice, caffe_note(weights.path, weights.state))
    notes = [note for note in said if note is not None]
    digits = hash_in_name(weights.path)
    if digits and not report.sha256.startswith(digits):
        notes.append(f'the file does not have the hash in its name, {digits}')
    network = as_gated(backbone)
    wanted_pool, own_pool = weights.network.get('stem_pool'), network.network().get('stem_pool')
    if None not in (wanted_pool, own_pool) and own_pool != wanted_pool:
        notes.append(
            'these weights were trained with another max pool; '
            f'stem_pool={wanted_pool!r} of AttentionResNet has it'
        )
    bare = [name for name in report.fresh_gates if not gates[name].state_dict()]
    if bare and weights.source.name in _MAY_BE_OURS and not weights.gates.knows_weightless:
        notes.append(
            f'{kind_of(gates[bare[0]])} has no tensors and the file no config, so it is taken for '
            'one trained without; if it was trained with these gates, set preserve_function=False'
        )
    to_learn = report.fresh_gates + report.prepared_gates
    learning = [name for name in to_learn if list(gates[name].parameters())]
    return notes + (network.traps(learning) if learning else [])
