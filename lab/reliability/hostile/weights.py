"""Weights that are no numbers, or another model's; and sound ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from .making import Maker, adding, load


def _changed(change: Callable[[dict[str, Any]], object]) -> Maker:
    """The good file with its state dict changed."""

    def make(path: Path, good: Path, canary: Path) -> None:
        content = load(good)
        change(content['state_dict'])
        torch.save(content, path)

    return make


_WEIGHT = 'backbone.layer2.0.conv1.weight'
_VARIANCE = 'backbone.layer2.0.bn1.running_var'


def _set(key: str, value: float) -> Maker:
    return _changed(lambda state: state[key].flatten()[:1].fill_(value))


def _cast(dtype: torch.dtype, times: float = 1.0) -> Maker:
    return _changed(
        lambda state: state.update({_WEIGHT: (state[_WEIGHT].double() * times).to(dtype)})
    )


NUMBERS: dict[str, Maker] = {
    'NaN': _set(_WEIGHT, float('nan')),
    'infinity': _set(_WEIGHT, float('inf')),
    'a negative variance': _set(_VARIANCE, -1.0),
    'complex': _cast(torch.complex64),
    'integers': _cast(torch.int64),
    '1e300': _cast(torch.float64, 1e300),
}
OTHER_MODEL: dict[str, Maker] = {
    'another number of units': _changed(
        lambda state: [state.pop(key) for key in list(state) if '.layer3.1.' in key]
    ),
    'another width': _changed(
        lambda state: state.update(
            {k: torch.cat([v, v]) for k, v in state.items() if k.startswith('backbone.') and v.ndim}
        )
    ),
    'no first layer': _changed(lambda state: state.pop('backbone.conv1.weight')),
}


@adding(OTHER_MODEL)('a depth of 101')
def _depth(path: Path, good: Path, canary: Path) -> None:
    from ge_det.backbones import AttentionResNet

    backbone = AttentionResNet(101, base_channels=16)
    torch.save({f'backbone.{key}': value for key, value in backbone.state_dict().items()}, path)


def _copy(path: Path, good: Path, canary: Path) -> None:
    path.write_bytes(good.read_bytes())


def _prefixed(prefix: str) -> Maker:
    def make(path: Path, good: Path, canary: Path) -> None:
        content = load(good)
        state = content['state_dict']
        content['state_dict'] = {prefix + key: value for key, value in state.items()}
        torch.save(content, path)

    return make


SOUND: dict[str, Maker] = {'as written': _copy, 'saved inside DataParallel': _prefixed('module.')}
