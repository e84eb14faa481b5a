"""What the user of an import should know that does not stop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from .backbone_weights import BackboneWeights
from .download import hash_in_name
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
    notes = []
    digits = hash_in_name(weights.path)
    if digits and not report.sha256.startswith(digits):
        notes.append(f'the file does not have the hash in its name, {digits}')
    pool = getattr(backbone, 'maxpool', None)
    wanted_pool, own_pool = weights.network.get('stem_pool'), getattr(pool, 'ceil_mode', None)
    if None not in (wanted_pool, own_pool) and own_pool != (wanted_pool == 'ceil'):
        notes.append(
            'these weights were trained with another max pool; '
            f'stem_pool={wanted_pool!r} of AttentionResNet has it'
        )
    bare = [name for name in report.fresh_gates if not gates[name].state_dict()]
    if bare and weights.source.name in _MAY_BE_OURS and not weights.gates.knows_theta_minus:
        notes.append(
            'GE theta-minus has no tensors and the file no config, so it is taken for one trained '
            'without; if it was trained with these gates, set preserve_function=False'
        )
    to_learn = report.fresh_gates + report.prepared_gates
    learning = [name for name in to_learn if list(gates[name].parameters())]
    if learning and not hasattr(backbone, 'freeze_gates'):
        notes += _trapped(backbone, learning)
    return notes


def _trapped(backbone: nn.Module, fresh: Sequence[str]) -> list[str]:
    """What mmdet's own backbones do to gates that are to learn; AttentionResNet does not."""
    notes = []
    modules = {name: backbone.get_submodule(name) for name in fresh}
    frozen = [
        name
        for name, module in modules.items()
        if not any(parameter.requires_grad for parameter in module.parameters())
    ]
    if frozen:
        notes.append(
            f'{len(frozen)} fresh gates stand in frozen stages and will not learn: '
            'lower frozen_stages, or use AttentionResNet'
        )
    has_norm = any(
        isinstance(module, nn.modules.batchnorm._BatchNorm)
        for gate in modules.values()
        for module in gate.modules()
    )
    if has_norm and getattr(backbone, 'norm_eval', False):
        notes.append(
            'norm_eval=True keeps the batch normalisation in fresh gates on mean 0 and variance 1: '
            'set norm_eval=False, or use AttentionResNet'
        )
    return notes
