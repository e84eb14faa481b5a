"""Squeeze-and-Excitation (Hu et al., arXiv 1709.01507)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ge_det.ops.squeeze_excite import squeeze

from .averaged import AveragedGate
from .checks import check_choice
from .layers import Device, constant_gate, hidden_channels, to_layer_dtype
from .plain import is_plain
from .variant import Variant


class _Layer(nn.Module):
    """A 1x1 convolution and its activation, under the names that mmcv's ConvModule gives them."""

    def __init__(
        self, in_channels: int, out_channels: int, bias: bool, activate: nn.Module, **place: Any
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=bias, **place)
        self.activate = activate
        self.init_weights()

    def init_weights(self) -> None:
        nn.init.kaiming_normal_(self.conv.weight, mode='fan_out', nonlinearity='relu')
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.activate(self.conv(x))


class SqueezeExcite(AveragedGate):
    """Channel gate sigmoid(W2 relu(W1 z)), z the global mean of each channel.

    Squeeze-and-Excitation, equation 3 of Hu et al. 2017, https://arxiv.org/abs/1709.01507.

    Parameter names and shapes are those of ``SELayer`` inside mmpretrain's ``SEResNet``, so that
    its checkpoints load key for key: ``se_layer.conv1.conv.*`` and ``se_layer.conv2.conv.*``.

    Args:
        in_channels (int): Number of channels C.
        ratio (int): Reduction ratio r; the hidden layer has C // r channels. Defaults to 16.
        bias (bool): Whether the two layers have biases. The released models have them, the
            ablations of the paper do not. Defaults to True.
        device (torch.device, optional): Of its tensors. Defaults to None: torch's default.
        dtype (torch.dtype, optional): Of its parameters and statistics. Defaults to None: torch's
            default.

    Raises:
        ValueError: If ``ratio`` is not a positive integer or larger than ``in_channels``.

    Examples:
        >>> block = SqueezeExcite(256)
        >>> block(torch.rand(2, 256, 7, 5)).shape
        torch.Size([2, 256, 7, 5])
    """

    _abbr_ = 'se_layer'
    variants = (Variant('se'),)
    gate_broadcasts = True

    def __init__(
        self,
        in_channels: int,
        *,
        ratio: int = 16,
        bias: bool = True,
        device: Device = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_channels)
        hidden = hidden_channels(in_channels, ratio)
        check_choice('bias', bias, (True, False))
        place = dict(device=device, dtype=dtype)
        self.conv1 = _Layer(in_channels, hidden, bias, nn.ReLU(), **place)
        self.conv2 = _Layer(hidden, in_channels, bias, nn.Sigmoid(), **place)

    def init_weights(self) -> None:
        """Kaiming normal (fan out) and zero biases, as mmpretrain trains it from scratch.

        The authors released deploy files only, which state no initialisation.
        """
        self.conv1.init_weights()
        self.conv2.init_weights()

    def averages(self, x: Tensor) -> tuple[Tensor]:
        """The global mean (N, K, 1, 1)."""
        return (squeeze(x),)

    def gate_from(self, averages: Sequence[Tensor]) -> Tensor:
        """Channel gate (N, C, 1, 1)."""
        (z,) = averages
        return self.conv2(self.conv1(to_layer_dtype(z, self.conv1)))

    def make_constant(self) -> Tensor | None:
        """W2 = 0: the gate is the sigmoid of the second bias."""
        if not is_plain(self.conv2.activate, nn.Sigmoid):
            return None
        return constant_gate(self.conv2.conv)
