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
    """A network and how to run it once."""

    name: str  # Its column in the table.
    network: nn.Module  # In the mode, place and memory order that it is measured in.
    settings: SpeedSettings
    forward: Callable[[Any], Sequence[Tensor] | Tensor] | None = None  # If not the network.
    trains: bool = True  # Whether it has a backward pass in a training run.
    same_function: bool = False  # Whether its outputs are to be ours.
    _cotangents: list[Tensor] = field(default_factory=list)

    @property
    def backbone(self) -> Any:
        """The network, or that part of a detector."""
        return getattr(self.network, 'backbone', self.network)

    def outputs(self, inputs: Any) -> list[Tensor]:
        """Forward pass; builds a graph in a training run."""
        s = self.settings
        kind = torch.device(s.device).type
        graph = torch.set_grad_enabled(s.train and self.trains)
        with graph, torch.autocast(kind, s.amp_dtype, s.amp):
            run = self.network if self.forward is None else self.forward
            outputs = run(inputs)
        return [outputs] if isinstance(outputs, Tensor) else list(outputs)

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
    device = next((parameter.device for parameter in network.parameters()), None)
    generator = torch.Generator(device or 'cpu').manual_seed(seed)
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            low, high = -0.5, 0.5
            if isinstance(module, nn.BatchNorm2d):
                low, high = (0.3, 0.9) if name == 'weight' else (-0.3, 0.3)
            elif isinstance(module, (nn.Conv2d, nn.Linear)) and name == 'weight':
                high = (6 / parameter[0].numel()) ** 0.5
                low = -high
            values = torch.rand(parameter.shape, generator=generator, device=device)
            parameter.copy_(values * (high - low) + low)


def load_shared(
    network: nn.Module, state: Mapping[str, Tensor], names: Mapping[str, str] | None = None
) -> bool:
    """Load what a network has in common with another, by name (``names``: theirs) and shape.

    Returns whether that was all of the network's parameters and statistics.
    """
    own = network.state_dict()
    theirs = {key: state.get(names[key] if names else key) for key in own}
    found = {k: v for k, v in theirs.items() if v is not None and v.shape == own[k].shape}
    network.load_state_dict(found, strict=False)
    return all(key in found or key.endswith('num_batches_tracked') for key in own)
