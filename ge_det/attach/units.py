"""A residual unit of somebody's network, as attaching and fused execution see it."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from ge_det.errors import UserError


class Tail(NamedTuple):
    """How a unit of a known class runs, by names inside it, such as ``'conv3'``.

    Its forward is ``relu(norm(conv(u)) + shortcut(x))``, u what the modules before make of x. A
    unit may have other modules (drop path, plugins, timm's ``se``); it runs so where it has none.

    Attributes:
        before (tuple[str, ...]): The modules that x runs through before the last convolution, in
            the order of execution.
        conv (str): The last convolution.
        norm (str): The normalisation after it.
        relu (str): The activation after the addition.
        shortcut (str): What the other branch runs; the module may be None, for the identity.
    """

    before: tuple[str, ...]
    conv: str
    norm: str
    relu: str
    shortcut: str


class Unit(NamedTuple):
    """A residual unit.

    Attributes:
        name (str): Its name in the network, such as ``'backbone.body.layer1.0'``.
        module (nn.Module): The unit.
        norm (nn.Module): The last normalisation of its residual branch.
        channels (int): Channels that the branch puts out.
        stage (int): Stage of the ResNet, 0 for ``layer1``.
        tail (Tail | None): How it runs, where that is known and no subclass changes it.
        library (str): Whose class it is, such as ``'torchvision'``.
    """

    name: str
    module: nn.Module
    norm: nn.Module
    channels: int
    stage: int
    tail: Tail | None = None
    library: str = 'units='

    @property
    def title(self) -> str:
        """What messages call it; as a whole network it has no name."""
        return self.name or 'the unit'


def check_model(model: object) -> None:
    """Raise a UserError if a model is no module."""
    if not isinstance(model, nn.Module):
        raise UserError(f'model={type(model).__name__} is not allowed: it must be an nn.Module')
