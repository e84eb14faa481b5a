"""Whether two trainings ended alike, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ge_det.reading.load import load_file


def difference(file: Path, other: Path) -> str | None:
    """What differs in weights and optimizer of two checkpoints; None if nothing does."""
    if not file.is_file():
        raise FileNotFoundError(file)
    if not other.is_file():
        return f'{other.name} is not there'
    contents = [load_file(path) for path in (file, other)]
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        if part not in contents[0]:
            raise KeyError(part)
        if not _equal(*(content.get(part) for content in contents)):
            return f'{part} of {other.name} differs'
    return None


def _equal(one: Any, two: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and torch.equal(one, two)
    if isinstance(one, np.ndarray):
        return isinstance(two, np.ndarray) and np.array_equal(one, two)
    if isinstance(one, dict):
        return (
            isinstance(two, dict)
            and one.keys() == two.keys()
            and all(_equal(value, two[key]) for key, value in one.items())
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(_equal, one, two))
    return bool(one == two)
