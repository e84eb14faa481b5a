"""Where in a checkpoint the weights are: under which entry, and under which names.

Frameworks wrap a state dict in entries of many names, also one in another, and keep an average
beside it. So nothing is looked up by name alone: a set of weights is any mapping of names to
tensors, wherever it lies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

LANDMARK = 'layer1.0.conv1.weight'
"""Every ResNet has it, so what stands before it in a file is the backbone's prefix."""

COUNTERS = frozenset(('n_averaged', 'steps'))
"""What torch and MMEngine count beside the weights of an averaged model."""

# Where two entries are alike, the first of these; others follow in the order of the file.
_USUAL = ('state_dict', 'model_state_dict', 'model', 'net', 'network', 'weights', 'params')
_NO_WEIGHTS = re.compile(r'.*(?:optim|sched|scaler).*|message_hub|meta|.*rng.*|callbacks|loops')
_AVERAGED = frozenset(('ema', 'teacher', 'averaged', 'average', 'avg', 'swa', 'shadow', 'momentum'))
_COMPILED = re.compile(r'(?:^|(?<=\.))_orig_mod\.')
_WRAPPER = re.compile(r'(?:^|(?<=\.))(?:_orig_mod|module)\.')
_DEEPEST = 4


@dataclass(frozen=True)
class WeightSet:
    """Tensors that stand together in a file.

    Attributes:
        key (str): The entries they lie under, such as ``'ema.module'``; empty for the file itself.
        state (dict[str, Tensor]): The tensors, under the names in the file.
        versions (dict): Versions of the modules, which torch notes beside a state dict.
    """

    key: str
    state: dict[str, Tensor]
    versions: dict[str, Any] = field(default_factory=dict)

    @property
    def has_resnet(self) -> bool:
        """Whether a ResNet is in it."""
        return any(without_wrappers(name).endswith(LANDMARK) for name in self.state)

    @property
    def is_plain(self) -> bool:
        """Whether its names are those of the model itself; see :func:`plain_names`."""
        return plain_names(self.state).keys() == self.state.keys()

    def plain(self) -> WeightSet:
        """The same under the names of the model itself."""
        if self.is_plain:
            return self
        versions = {without_wrappers(f'{k}.').rstrip('.'): v for k, v in self.versions.items()}
        return WeightSet(self.key, plain_names(self.state), versions)


def find_sets(content: Any, as_runner: bool = False) -> list[WeightSet]:
    """The sets of weights in a checkpoint, the one to take first.

    Sets with a ResNet go before others, what a training saved before averages of it, the entries
    that everybody uses before others.

    Args:
        content (Any): What a file holds.
        as_runner (bool): Only those under ``state_dict`` where the file has that, since MMEngine's
            runner looks nowhere else then. Defaults to False.

    Returns:
        list[WeightSet]: Of the best kind there is: with a ResNet, if any has one.
    """
    found = list(_sets(content, '', _DEEPEST))
    if as_runner and 'state_dict' in content:
        found = [one for one in found if one.key.split('.')[0] == 'state_dict']
    found = [one for one in found if one.has_resnet] or found
    return sorted(found, key=lambda one: (is_averaged(one.key), _rank(one.key), -len(one.state)))


def told_choice(taken: str, others: Sequence[str]) -> str | None:
    """What to say where a file holds several sets of weights, by their keys."""
    if not others:
        return None
    first, *left = [repr(one) if one else 'its top level' for one in (taken, *others)]
    return f'of several sets of weights in it, {first} was taken, not {", ".join(left)}'


def is_averaged(name: str) -> bool:
    """Whether a name, of an entry or a module, says that its weights are an average of others."""
    return not _AVERAGED.isdisjoint(re.split(r'[._]', name.lower()))


def preferred_prefixes(prefixes: Sequence[str]) -> list[str]:
    """Of networks in a file, the one to take, or several that are alike.

    What a training saved goes before averages of it, and a name of no part or of a backbone before
    others.

    Args:
        prefixes (Sequence[str]): What stands before the names of each, such as ``'teacher.'``.
    """
    best = [prefix for prefix in prefixes if not is_averaged(prefix)] or list(prefixes)
    usual = next((prefix for prefix in ('', 'backbone.') if prefix in best), None)
    return best if usual is None else [usual]


def without_wrappers(name: str) -> str:
    """A tensor's name without what DataParallel and ``torch.compile`` put into it."""
    return _WRAPPER.sub('', name)


def without_compiled(name: str) -> str:
    """A tensor's name without what ``torch.compile`` puts into it."""
    return _COMPILED.sub('', name)


def plain_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """A whole model's entries under its own names.

    ``torch.compile`` puts ``_orig_mod.`` into names, DataParallel and averages ``module.`` before
    all. Within a name, ``module.`` stays: adapters of mmpretrain call a part so.

    Args:
        state (Mapping[str, Any]): Entries under the names in the file.

    Returns:
        dict[str, Any]: The same, in their order; as they were where two would get one name.
    """
    names = {name: without_compiled(name) for name in state}
    weights = {name: plain for name, plain in names.items() if plain not in COUNTERS}
    if weights and all(plain.startswith('module.') for plain in weights.values()):
        names = {name: re.sub(r'^(module\.)+', '', plain) for name, plain in weights.items()}
    if len(set(names.values())) < len(names):
        return dict(state)
    return {plain: state[name] for name, plain in names.items()}


def _sets(content: Any, key: str, deepest: int) -> Iterator[WeightSet]:
    if not isinstance(content, Mapping):
        return
    tensors = {k: _as_tensor(v) for k, v in content.items() if isinstance(k, str)}
    state = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    if state:
        yield WeightSet(key, state, dict(getattr(content, '_metadata', None) or {}))
    for name, value in content.items():
        if deepest and isinstance(name, str) and not _NO_WEIGHTS.fullmatch(name.lower()):
            yield from _sets(value, f'{key}.{name}' if key else name, deepest - 1)


def _as_tensor(value: Any) -> Tensor | None:
    """A tensor, or the array that Detectron and converters save instead."""
    if isinstance(value, np.ndarray) and value.dtype.kind in 'fiub' and value.dtype.itemsize <= 8:
        return torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder('=')))
    return value if isinstance(value, Tensor) else None


def _rank(key: str) -> int:
    first = key.split('.')[0]
    return _USUAL.index(first) if first in _USUAL else len(_USUAL)
