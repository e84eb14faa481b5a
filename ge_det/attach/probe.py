"""What the units of a network compute, before and after gates are put in.

Random images go through the part of the model that holds the units and the stem before them, a
backbone mostly. Where that does not take images alone, random features go through the units one
after another, as they stand in a ResNet.
"""

from __future__ import annotations

from collections.abc import Sequence
from os.path import commonprefix
from typing import Any

import torch
from torch import Tensor, nn

from ge_det.blocks.taking_back import in_eval_mode
from ge_det.errors import one_line

from .gates import weight_of
from .units import Unit

# Sizes of random images, and of random features, which are a quarter of that.
_SIZES = ((64, 64), (96, 128))
_STEM_STRIDE = 4

# For each unit its outputs, one for each size; None where it cannot be called with features alone.
_Outputs = list[list[Tensor | None]]


class Probe:
    """Compares what units put out, in eval mode, with what they put out when this was made.

    Attributes:
        why (str | None): Why units did not run, of the first one.

    Args:
        model (nn.Module): The network.
        units (Sequence[Unit]): All its units, in the order of execution.
    """

    def __init__(self, model: nn.Module, units: Sequence[Unit]) -> None:
        self.why: str | None = None
        self._units = units
        self._trunk = _trunk_of(model, units)
        try:
            self._before = self._outputs()
        except Exception:  # Somebody's code, which takes something else than images.
            self._trunk = None
            self._before = self._outputs()

    def errors(self) -> list[float | None]:
        """||y - y_before|| / ||y_before|| of each unit over all sizes; None if it does not run."""
        pairs = zip(self._outputs(), self._before, strict=True)
        return [_relative_error(now, before) for now, before in pairs]

    @torch.no_grad()
    def _outputs(self) -> _Outputs:
        outputs: _Outputs = [[] for _ in self._units]
        trunk = self._trunk
        modules = [unit.module for unit in self._units] if trunk is None else [trunk]
        device = getattr(weight_of(self._units[0]), 'device', torch.device('cpu')).type
        with in_eval_mode(*modules), torch.autocast(device, enabled=False):
            for size in _SIZES:
                run = self._chain(size) if trunk is None else self._through(trunk, size)
                for one, y in zip(outputs, run, strict=True):
                    one.append(y)
        return outputs

    def _through(self, trunk: nn.Module, size: tuple[int, int]) -> list[Tensor | None]:
        found: dict[nn.Module, Tensor] = {}

        def collect(unit: nn.Module, _: Any, y: Tensor) -> None:
            if unit in found:
                raise ValueError('a unit runs twice')
            found[unit] = y.clone()  # What follows may change it in place.

        handles = [unit.module.register_forward_hook(collect) for unit in self._units]
        try:
            trunk(_random(trunk, self._units[0], size, seed=0))
        finally:
            for handle in handles:
                handle.remove()
        return [found[unit.module] for unit in self._units]

    def _chain(self, size: tuple[int, int]) -> list[Tensor | None]:
        run: list[Tensor | None] = []
        height, width = (side // _STEM_STRIDE for side in size)
        x: Tensor | None = None
        for number, unit in enumerate(self._units):
            if x is None or x.shape[1] != _in_channels(unit.module, unit):
                x = _random(unit.module, unit, (height, width), seed=number).relu()
            x = self._call(unit.module, x)
            run.append(x)
        return run

    def _call(self, module: nn.Module, x: Tensor) -> Tensor | None:
        try:
            y = module(x.clone())  # A unit may begin in place.
        except Exception as error:  # Somebody's code, which may need other arguments.
            self.why = self.why or one_line(error)[:120]
            return None
        if isinstance(y, Tensor) and y.dim() == 4:
            return y
        self.why = self.why or f'{type(module).__name__} puts out no (N, C, H, W)'
        return None


def _trunk_of(model: nn.Module, units: Sequence[Unit]) -> nn.Module | None:
    """The smallest part with all units and a convolution before them, which a stem has."""
    common = commonprefix([unit.name.split('.') for unit in units])
    while True:
        trunk = model.get_submodule('.'.join(common))
        inside = set(units[0].module.modules())
        first = next((m for m in trunk.modules() if _is_convolution(m)), None)
        if first is not None and first not in inside:
            return trunk
        if not common:
            return None
        common = common[:-1]


def _is_convolution(module: nn.Module) -> bool:
    weight = getattr(module, 'weight', None)
    return isinstance(weight, Tensor) and weight.dim() == 4


def _relative_error(outputs: list[Tensor | None], expected: list[Tensor | None]) -> float | None:
    difference = total = 0.0
    for y, wanted in zip(outputs, expected, strict=True):
        if y is None or wanted is None:
            return None
        difference += float((y - wanted).double().square().sum())
        total += float(wanted.double().square().sum())
    return float((difference / max(total, 1e-30)) ** 0.5)


def _in_channels(module: nn.Module, unit: Unit) -> int:
    known = (getattr(m, 'in_channels', None) for m in module.modules() if _is_convolution(m))
    return next((number for number in known if isinstance(number, int)), unit.channels)


def _random(module: nn.Module, unit: Unit, size: tuple[int, int], seed: int) -> Tensor:
    """Standard normal values (2, C, *size), of the device and dtype of the first convolution."""
    random = torch.Generator('cpu').manual_seed(seed)
    shape = (2, _in_channels(module, unit), *size)
    x = torch.randn(shape, generator=random, device='cpu')
    weights: Any = (m.weight for m in module.modules() if _is_convolution(m))
    like = next((weight for weight in weights if weight.is_floating_point()), weight_of(unit))
    return x if like is None else x.to(like)
