"""One thing to measure, and the random weights that all of a group share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .settings import SpeedSettings


@dataclass
class Contender:
    """A network and how to run it once.

    Args:
        name (str): Its column in the table.
        network (nn.Module): In the mode, place and memory order that it is measured in.
        forward (Callable): From the inputs to the outputs that the backward pass starts from.
        settings (SpeedSettings): Of the run.
        trains (bool): Whether it has a backward pass in a training run. Defaults to True.
        same_function (bool): Whether its outputs are to be ours. Defaults to False.
    """

    name: str
    network: nn.Module
    forward: Callable[[Any], Sequence[Tensor]]
    settings: SpeedSettings
    trains: bool = True
    same_function: bool = False
    _cotangents: list[Tensor] = field(default_factory=list)

    def outputs(self, inputs: Any) -> list[Tensor]:
        """Forward pass; builds a graph in a training run."""
        s = self.settings
        is_training = s.train and self.trains
        kind = torch.device(s.device).type
        with torch.set_grad_enabled(is_training), torch.autocast(kind, s.amp_dtype, s.amp):
            return list(self.forward(inputs))

    def step(self, inputs: Any) -> None:
        """What is timed: the forward pass, in a training run the backward pass too.

        The gradient is that of the sum of the outputs times fixed random cotangents; scalars, such
        as losses, are added up as they are. Gradients are dropped before, not added to.
        """
        if not (self.settings.train and self.trains):
            self.outputs(inputs)
            return
        self.clear_gradients(inputs)
        learning = [output for output in self.outputs(inputs) if output.requires_grad]
        if not self._cotangents:
            self._cotangents = [_cotangent(output) for output in learning]
        # The same as adding the products up, without the time for that.
        torch.autograd.backward(learning, self._cotangents)

    def clear_gradients(self, inputs: Any) -> None:
        """Forget all gradients, as ``zero_grad(set_to_none=True)`` does."""
        self.network.zero_grad(set_to_none=True)
        if isinstance(inputs, Tensor):
            inputs.grad = None


def _cotangent(output: Tensor) -> Tensor:
    if output.dim() == 0:
        return torch.ones_like(output)
    generator = torch.Generator(output.device).manual_seed(output.numel())
    return torch.empty_like(output).normal_(generator=generator)


def place(network: nn.Module, settings: SpeedSettings) -> nn.Module:
    """Move a network to its device and memory order, and set its mode."""
    network = network.to(settings.device).to(memory_format=settings.memory_format)  # type: ignore[call-overload]
    network.train(settings.train)  # Not chained: mmdet's networks return None.
    return network


@torch.no_grad()
def randomise(network: nn.Module, seed: int = 0) -> None:
    """Random weights under which no gate is constant and activations stay in range.

    Running statistics are left alone. Residual branches end in weights below one, so that the sum
    over the units neither grows without bound nor vanishes into denormal numbers, which are slow.
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor: Tensor, low: float, high: float) -> None:
        values = torch.rand(tensor.shape, generator=generator) * (high - low) + low
        tensor.copy_(values)

    for module in network.modules():
        own = dict(module.named_parameters(recurse=False))
        if isinstance(module, nn.BatchNorm2d):
            uniform(module.weight, 0.3, 0.9)
            uniform(module.bias, -0.3, 0.3)
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            fan_in = module.weight[0].numel()
            bound = (6 / fan_in) ** 0.5
            uniform(own.pop('weight'), -bound, bound)
            for bias in own.values():
                uniform(bias, -0.5, 0.5)
        else:
            for parameter in own.values():
                uniform(parameter, -0.5, 0.5)


def load_shared(
    network: nn.Module, state: Mapping[str, Tensor], names: Mapping[str, str] | None = None
) -> bool:
    """Load what a network has in common with another, by name and shape.

    Args:
        network (nn.Module): What to load into.
        state (Mapping[str, Tensor]): State dict of the other.
        names (Mapping[str, str], optional): The other's name for each key of the network.
            Defaults to the same names.

    Returns:
        bool: Whether that was all of the network's parameters and statistics.
    """
    own = network.state_dict()
    found = {}
    for key, tensor in own.items():
        other = state.get(names[key] if names is not None else key)
        if other is not None and other.shape == tensor.shape:
            found[key] = other
    network.load_state_dict(found, strict=False)
    return all(key in found or key.endswith('num_batches_tracked') for key in own)
