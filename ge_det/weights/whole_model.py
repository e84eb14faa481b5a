"""See whether a checkpoint is of a whole model: exactly, or near enough to start from.

MMEngine loads what fits and mentions the rest in its log. Testing another model's weights so gives
a number that means nothing, and training from them starts from scratch without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ge_det.blocks.gated_backbone import as_gated
from ge_det.blocks.taking_back import is_weightless
from ge_det.errors import CheckpointError, listed_orders
from ge_det.reading.model_names import NamedForModel, name_for_model
from ge_det.reading.weight_sets import told_choice
from ge_det.words import counted

from .causes import likely_cause
from .checkpoint import Checkpoint, read_checkpoint
from .gate_record import kind_of, read_record
from .matching import Difference, compare, fits

_TRUNK = ('backbone.', 'neck.')
# A child of a residual unit that no ResNet has.
_GATE = re.compile(r'\.layer\d+\.\d+\.(?!conv|bn|norm|downsample)(\w+)\.')


def check_fits(
    model: nn.Module, checkpoint: str, classes: Sequence[str] = (), *, resumes: bool = False
) -> None:
    """Raise a CheckpointError unless a checkpoint holds just the model's tensors.

    They may lie behind a prefix, such as ``teacher.``; see
    :func:`~ge_det.reading.model_names.name_for_model`.

    Args:
        model (nn.Module): A detector or classifier, on any device.
        checkpoint (str): Path or URL of weights.
        classes (Sequence[str]): Names of the classes that the model is used with, in the order of
            its outputs. Defaults to (): unknown.
        resumes (bool): Whether a training is to go on from it, optimizer and all. Defaults to
            False.

    Raises:
        CheckpointError: If it cannot be read, its weights are no numbers to use, a tensor is
            missing, left over or of another shape, it was trained with gates of another kind that
            have no tensors, or with the same classes in another order, or a training that goes on
            finds them behind a prefix; the message is one line.
    """
    named, own, content = _read(model, checkpoint)
    state = named.state
    if resumes and named.prefix:
        raise CheckpointError(
            f'{checkpoint}: its weights are those under {named.prefix.rstrip(".")!r} of a larger '
            "model, whose optimizer is not this model's; start from them with --cfg-options "
            f'load_from={checkpoint}, without --resume'
        )
    found = compare(state, own)
    clauses = found.clauses(_cause(state, own, found)) + _untold_gates(model, content.meta)
    if clauses:
        raise CheckpointError(
            f"{checkpoint} does not belong to this config's model of {len(own)} tensors: "
            f'{"; ".join(clauses)}. Give the config (and --cfg-options) it was trained with'
        )
    meta = content.meta.get('dataset_meta')
    names = meta.get('classes') if isinstance(meta, Mapping) else None
    names = list(map(str, names if isinstance(names, (list, tuple)) else ()))
    classes = list(map(str, classes))
    if names != classes and sorted(names) == sorted(classes):
        theirs, ours = listed_orders(names, classes)
        raise CheckpointError(
            f'{checkpoint} was trained with the classes in another order ({theirs}) than the '
            f"config's ({ours}); order `classes` of the config as in the training"
        )


def check_may_start(model: nn.Module, checkpoint: str) -> list[str]:
    """Raise a CheckpointError unless a training of the model may start from a checkpoint.

    Backbone and neck have to be there as they are. Heads may have another number of classes or
    anchors, be missing as a whole, or be more than the model's.

    Args:
        model (nn.Module): A detector or classifier, on any device.
        checkpoint (str): Path or URL of weights, the value of ``load_from``.

    Returns:
        list[str]: What is not loaded, a clause each, and of several sets of weights the one taken.

    Raises:
        CheckpointError: As of :func:`check_fits`, but for what heads may have.
    """
    named, own, content = _read(model, checkpoint)
    state = named.state
    found = compare(state, own)
    usable = [key for key, value in own.items() if key in state and fits(state, key, value)]
    if len(usable) < len(own) / 2 and not any(key.startswith(_TRUNK) for key in usable):
        raise CheckpointError(
            f"load_from={checkpoint}: only {len(usable)} of the model's {len(own)} tensors are in "
            'it; weights of a backbone alone go to its pretrained='
        )
    absent = _absent_heads(own, state)

    def may_differ(name: str) -> bool:
        if name.startswith(_TRUNK) or name in found.mistyped:
            return False
        if name not in state:
            return _part_of(name) in absent
        # Classes, anchors and queries are counted in the first axis.
        return name not in own or state[name].shape[1:] == own[name].shape[1:]

    wrong = found.only(lambda name: not may_differ(name))
    clauses = wrong.clauses(_cause(state, own, wrong)) + _untold_gates(model, content.meta)
    if clauses:
        raise CheckpointError(
            f'load_from={checkpoint} is no start for this model: {"; ".join(clauses)}. '
            '`ge-det import-weights --config CONFIG` makes one from weights without its gates'
        )
    lost = found.only(may_differ)
    anew = lost.missing + [f'{name} {shapes}' for name, shapes in lost.misshapen.items()]
    return _choices(named, content) + [
        f'{counted(len(names), "tensor")} of heads {what}, the first {names[0]}'
        for names, what in ((anew, 'start anew'), (lost.left_over, 'in it are not used'))
        if names
    ]


def _read(model: nn.Module, checkpoint: str) -> tuple[NamedForModel, dict[str, Tensor], Checkpoint]:
    """The file's tensors under the model's names, the model's, and what else is in the file."""
    content, own = read_checkpoint(checkpoint, as_runner=True), model.state_dict()
    named = name_for_model(content.state, own)
    if named.other_prefixes and not named.prefix:
        first, second, *_ = (prefix.rstrip('.') for prefix in named.other_prefixes)
        raise CheckpointError(
            f'{checkpoint}: holds several networks that the model could take, such as {first!r} '
            f'and {second!r}; save the weights of one alone'
        )
    return named, own, content


def _choices(named: NamedForModel, content: Checkpoint) -> list[str]:
    """What was taken where a file holds several sets of weights, a clause each."""
    prefixes = [prefix.rstrip('.') for prefix in (named.prefix, *named.other_prefixes)]
    told = (
        told_choice(content.key, content.other_keys),
        told_choice(prefixes[0], prefixes[1:]),
    )
    return [choice for choice in told if choice]


def _cause(state: Mapping[str, Tensor], own: Mapping[str, Tensor], found: Difference) -> str | None:
    """What would explain that a file's tensors are not the model's."""
    theirs, ours = _backbone_of(state), _backbone_of(own)
    if theirs and ours and (cause := likely_cause(theirs, ours)):
        return cause
    for names, where in ((found.missing, 'only the model has'), (found.left_over, 'only it has')):
        gates = [gate[1] for name in names if (gate := _GATE.search(name))]
        if names and len(gates) == len(names):
            return f'{where} {gates[0]!r} in its residual units'
    is_of_heads = not any(name.startswith(_TRUNK) for name in found.misshapen)
    if found.misshapen and is_of_heads and not (found.missing or found.left_over):
        return 'another number of classes or anchors?'
    return None


def _untold_gates(model: nn.Module, meta: Mapping[str, Any]) -> list[str]:
    """Clauses for gates without tensors that only one of the two has."""
    if not isinstance(backbone := getattr(model, 'backbone', None), nn.Module):
        return []
    gates, record = as_gated(backbone).gates(), read_record(meta)
    noted = {**record.trained, **record.prepared, **record.fresh}
    unknown = [
        name
        for name, gate in gates.items()
        if is_weightless(gate) and name not in noted and not record.trained_with(name, gate)
    ]
    clauses = record.lost(gates)
    if unknown and record.knows_weightless:
        kind = kind_of(gates[unknown[0]])
        which = f'{counted(len(unknown), "gate")} {kind!r}'
        clauses.append(f'it was trained without the {which} of this model')
    return clauses


def _backbone_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k[len('backbone.') :]: v for k, v in state.items() if k.startswith('backbone.')}


def _part_of(name: str) -> str:
    """The head that a tensor is in; the heads of ``roi_head`` are several."""
    return '.'.join(name.split('.')[: 2 if name.startswith('roi_head.') else 1])


def _absent_heads(own: Iterable[str], state: Iterable[str]) -> set[str]:
    """Heads of the model of which the file has nothing."""
    heads = {part for name in own if 'head' in (part := _part_of(name))}
    return heads - {_part_of(name) for name in state}
