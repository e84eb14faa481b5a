"""A file's tensors under the names of the model that takes them.

What stands before all names of a network in a file, such as ``teacher.``, cannot be told by the
file alone from a part of the model: a tracker of mmdet's has its detector under ``detector.``, and
a semi-supervised training both a ``student.`` and a ``teacher.``. So the model is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .weight_sets import (
    COUNTERS,
    plain_names,
    preferred_prefixes,
    without_compiled,
    without_wrappers,
)


@dataclass(frozen=True)
class NamedForModel:
    """Entries of a file, named for a model.

    Attributes:
        state (dict): The entries. Those of other networks in the file are left out.
        prefix (str): What stood before the names, wrappers apart, such as ``'teacher.'``; '' if
            nothing did.
        other_prefixes (tuple[str]): What stands before those of others that the model could take.
    """

    state: dict[str, Any]
    prefix: str = ''
    other_prefixes: tuple[str, ...] = ()


def name_for_model(state: Mapping[str, Any], own: Collection[str]) -> NamedForModel:
    """Name a file's entries as a model does, where most of its names are found behind a prefix.

    Of several networks that are alike, none is taken: ``prefix`` is '' then, and ``other_prefixes``
    names them.

    Args:
        state (Mapping[str, Any]): Entries under the names in the file.
        own (Collection[str]): Names of the model's tensors.

    Returns:
        NamedForModel: The entries, under what :func:`~ge_det.reading.weight_sets.plain_names` calls
        them where the model has no such name.
    """
    plain = plain_names(state)
    targets = {without_compiled(name): name for name in own}
    readings = {name: dict(_readings(name, targets)) for name in plain}
    found = Counter(prefix for reading in readings.values() for prefix in reading)
    likely = [prefix for prefix, number in found.items() if number > len(own) / 2]
    best = preferred_prefixes(likely) or ['']
    if len(best) > 1:
        return NamedForModel(plain, '', tuple(likely))
    prefix = best[0]
    others = tuple(one for one in likely if one != prefix) if prefix else ()
    left, named = {}, {}
    for name, value in plain.items():
        if (own_name := readings[name].get(prefix)) is not None:
            named[own_name] = value
        elif not without_wrappers(name).startswith(others) and not _counts(name, own):
            left[name.removeprefix(prefix)] = value
    return NamedForModel({**left, **named}, prefix, others)


def _readings(name: str, targets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The prefixes that a name may have, and what the model calls it then."""
    parts = name.split('.')
    for length in range(len(parts)):
        # Within a name, ``module.`` may be a wrapper's or a part of the model.
        tail = '.'.join(parts[length:])
        own_name = targets.get(tail) or targets.get(without_wrappers(tail))
        if own_name is not None:
            yield without_wrappers('.'.join((*parts[:length], ''))), own_name


def _counts(name: str, own: Collection[str]) -> bool:
    return name.rpartition('.')[2] in COUNTERS and name not in own
