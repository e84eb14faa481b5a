"""Part the weights of a whole model into its backbone's and the others'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ge_det.errors import CheckpointError
from ge_det.reading.weight_sets import LANDMARK, plain_names, preferred_prefixes, without_wrappers


@dataclass(frozen=True)
class BackbonePart:
    """A state dict in two parts.

    Attributes:
        own (dict[str, Tensor]): The backbone's tensors, without what stands before their names.
        others (dict[str, Tensor]): Those of the rest of the model, under its names.
        prefix (str): What stood before the backbone's names, such as ``'backbone.body.'``.
        other_keys (list[str]): What begins the names of other networks that could be the backbone.
    """

    own: dict[str, Tensor]
    others: dict[str, Tensor]
    prefix: str = ''
    other_keys: list[str] = field(default_factory=list)


def split_backbone(state: Mapping[str, Tensor]) -> BackbonePart:
    """Part a state dict into a backbone's entries, under plain names, and the others.

    What wrappers of torch put into names is taken out, and of a detector inside a larger model
    what stands before all its parts.

    Args:
        state (Mapping[str, Tensor]): A detector's, a classifier's or a plain backbone's weights.

    Returns:
        BackbonePart: Both parts.

    Raises:
        CheckpointError: If several networks in the file could be the backbone.
    """
    plain = {without_wrappers(name): value for name, value in plain_names(state).items()}
    prefix, rest = _choose(plain)
    model, elsewhere = _model_of(prefix), tuple(map(_model_of, rest))
    own, others = {}, {}
    for name, value in plain.items():
        if name.startswith(prefix):
            own[name[len(prefix) :]] = value
        elif not name.startswith(tuple(filter(None, elsewhere))):
            others[name.removeprefix(model)] = value
    keys = [(_model_of(one) or one).rstrip('.') for one in rest]
    return BackbonePart(own, others, prefix, keys)


def _choose(state: Mapping[str, Tensor]) -> tuple[str, list[str]]:
    """The backbone's prefix, and those of other ResNets in the file."""
    found = [name[: -len(LANDMARK)] for name in state if name.endswith(LANDMARK)]
    found = [prefix for prefix in found if prefix.endswith('.') or not prefix]
    if not found:
        has_backbone = any(name.startswith('backbone.') for name in state)
        return 'backbone.' if has_backbone else '', []
    best = preferred_prefixes(found)
    if len(best) > 1:
        keys = ' or '.join(f'key={prefix.rstrip(".")!r}' for prefix in sorted(best))
        raise CheckpointError(f'the file holds several networks; say which by {keys}')
    return best[0], [prefix for prefix in found if prefix != best[0]]


def _model_of(prefix: str) -> str:
    """What stands before all parts of the model that a backbone is in."""
    before, backbone, _ = f'.{prefix}'.rpartition('.backbone.')
    return f'{before}.'.lstrip('.') if backbone else prefix
