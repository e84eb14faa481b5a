"""What every attention block shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from ge_det.ops.gating import apply_gate, full_gate


class Variant(NamedTuple):
    """A block with some arguments, under the short name that files and command lines use.

    Attributes:
        name (str): Such as ``'ge-theta-e8'``.
        arguments (Mapping[str, Any]): Of the block.
        has_configs (bool): Whether ``configs/coco`` has a folder for it. Defaults to True.
    """

    name: str
    arguments: Mapping[str, Any] = {}
    has_configs: bool = True


class AttentionBlock(nn.Module, ABC):
    """A gate on a feature map: ``forward(x) = x * gate(x)``.

    The blocks follow mmcv's plugin layer protocol (``in_channels`` by keyword, ``_abbr_`` as the
    attribute name), so they can stand in ``plugins=`` of any backbone that has plugins, and they
    depend on neither mmdet nor a config.

    Args:
        in_channels (int): Number of channels C of the input.

    Raises:
        ValueError: If ``in_channels`` is not a positive integer.
    """

    _abbr_: str
    variants: ClassVar[tuple[Variant, ...]] = ()

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        check_positive_int('in_channels', in_channels)
        self.in_channels = in_channels

    def coarse_gate(self, x: Tensor) -> Tensor:
        """Gate values in (0, 1), at the resolution they have. Or override :meth:`gate`.

        Args:
            x (Tensor): Features (N, C, H, W).

        Returns:
            Tensor: (N, G, h, w) of the dtype of ``x``, G a divisor of C: channel c reads gate
            channel c // (C/G), position (i, j) cell (floor(ih/H), floor(jw/W)).
        """
        raise NotImplementedError(f'{type(self).__name__} has neither coarse_gate nor gate')

    @property
    def gathers_averages(self) -> bool:
        """Whether the gate sees the features through averages over positions only."""
        return False

    def gate(self, x: Tensor) -> Tensor:
        """Gate values in (0, 1) for each channel.

        Args:
            x (Tensor): Features (N, C, H, W).

        Returns:
            Tensor: Broadcastable to ``x``, of the dtype of ``x``.
        """
        return full_gate(self.coarse_gate(x), x)

    @abstractmethod
    def reference(self, x: Tensor) -> Tensor:
        """The same as :meth:`forward`, slow and literal, and without touching running statistics.

        Args:
            x (Tensor): Features (N, C, H, W), meant to be small and float64.

        Returns:
            Tensor: (N, C, H, W).
        """

    @abstractmethod
    def init_weights(self) -> None:
        """Initialise as the authors did; MMEngine calls it after the backbone's own rules."""

    def forward(self, x: Tensor) -> Tensor:
        """Gate the features.

        Args:
            x (Tensor): Features (N, C, H, W) of any spatial size, N = 0 included.

        Returns:
            Tensor: (N, C, H, W) of the dtype of ``x``. Statistics run in float32 for float16 and
            bfloat16 inputs. Beside ``x``, only the coarse gate and small tensors are kept for the
            backward pass; it is not twice differentiable.

        Raises:
            ValueError: If ``x`` is not a 4-D tensor with ``in_channels`` channels.
        """
        self.check_input(x)
        if type(self).gate is not AttentionBlock.gate:  # a subclass that has its own
            return x * self.gate(x)
        return apply_gate(x, self.coarse_gate(x))

    def check_input(self, x: Tensor) -> None:
        """Raise a ValueError unless ``x`` is (N, in_channels, H, W)."""
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ValueError(
                f'{type(self).__name__} was built for inputs (N, {self.in_channels}, H, W), '
                f'got {tuple(x.shape)}'
            )

    def make_constant(self) -> Tensor | None:
        """Zero the weights that end the gate, so that it no longer depends on its input.

        It still learns: those weights receive a gradient, and the others once those have moved.

        Returns:
            Tensor | None: The value of the gate in each channel, (C,); None, with nothing changed,
            if the gate has no such weights.
        """
        return None

    @classmethod
    def stage_kwargs(cls, stage: int, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Arguments that depend on the stage of a ResNet a block stands in.

        Args:
            stage (int): Stage index, 0 for ``layer1``.
            kwargs (dict): Arguments the user gave; they are not to be overridden.

        Returns:
            dict: Arguments to add, empty for most blocks.
        """
        return {}

    @classmethod
    def width_kwargs(cls, channels: int) -> dict[str, Any]:
        """Arguments that a narrow network needs, where the defaults do not fit it.

        Args:
            channels (int): Channels of the network's first stage.

        Returns:
            dict: Arguments to add, empty for most blocks.
        """
        return {}


class AveragedGate(AttentionBlock):
    """A gate that depends on the features through averages over positions only.

    Averages commute with a 1x1 convolution and with a normalisation by given statistics, so a
    residual unit can take them before its last convolution expands the channels.
    """

    @property
    def gathers_averages(self) -> bool:
        """Whether the gate sees the features through averages over positions only."""
        return True

    @abstractmethod
    def averages(self, x: Tensor) -> tuple[Tensor, ...]:
        """The averages, each position of each a mean of positions of ``x``.

        Args:
            x (Tensor): Features (N, K, H, W) with any number K of channels.

        Returns:
            tuple[Tensor, ...]: Maps (N, K, h, w), float32 for half-precision features.
        """

    @abstractmethod
    def gate_from(self, averages: Sequence[Tensor]) -> Tensor:
        """The coarse gate (N, G, h, w) from averages with C channels."""

    def coarse_gate(self, x: Tensor) -> Tensor:
        """Gate values in (0, 1), at the resolution they have."""
        return self.gate_from(self.averages(x)).to(x.dtype)


def check_positive_int(name: str, value: object) -> None:
    """Raise a ValueError unless ``value`` is a positive int."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f'{name}={value!r} is not allowed: it must be a positive integer')


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise a ValueError unless ``value`` is one of ``choices``, of the same type too."""
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        allowed = ', '.join(repr(choice) for choice in choices)
        raise ValueError(f'{name}={value!r} is not allowed: it must be one of {allowed}')
