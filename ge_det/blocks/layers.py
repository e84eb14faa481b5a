"""Small layers the blocks are made of."""

from __future__ import annotations

import warnings
from typing import Any, TypeAlias

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ge_det.ops.precision import cast_unless_autocast, statistics_dtype
from ge_det.ops.strided_gather import strided_gather
from ge_det.ops.tracing import is_traced, needs_torchs_operators

from .checks import check_positive_int
from .plain import first_dtype, is_convolution, is_plain

Device: TypeAlias = 'torch.device | str | int | None'


def hidden_channels(in_channels: int, ratio: int) -> int:
    """C // r, the width of the excitation's hidden layer.

    Raises:
        ValueError: If ``ratio`` is not a positive integer or larger than ``in_channels``.
    """
    check_positive_int('ratio', ratio)
    if ratio > in_channels:
        raise ValueError(
            f'ratio={ratio} is not allowed with in_channels={in_channels}: '
            'it must not be larger than the number of channels'
        )
    return in_channels // ratio


def to_layer_dtype(x: Tensor, layer: nn.Module) -> Tensor:
    """Cast float32 statistics back to the dtype of a layer, unless autocast will do it."""
    dtype = first_dtype(layer)
    return x if dtype is None else cast_unless_autocast(x, dtype)


class ExcitationLayers(nn.Module):
    """SE's two-layer subnetwork as 1x1 convolutions with biases, without the sigmoid.

    Args:
        in_channels (int): Number of channels.
        ratio (int): Of these to the hidden ones.
        **place: ``device`` and ``dtype``, as torch's layers take them.
    """

    def __init__(self, in_channels: int, ratio: int, **place: Any) -> None:
        super().__init__()
        hidden = hidden_channels(in_channels, ratio)
        self.down = nn.Conv2d(in_channels, hidden, 1, **place)
        self.up = nn.Conv2d(hidden, in_channels, 1, **place)

    def forward(self, z: Tensor) -> Tensor:
        """W2 relu(W1 z + b1) + b2 at every position: (N, C, h, w) to (N, C, h, w)."""
        return self.up(torch.relu(self.down(to_layer_dtype(z, self.down))))


# What the operator for strided gathers does.
_STRIDED: dict[str, Any] = dict(kernel=(3, 3), stride=(2, 2), padding=(1, 1), depthwise=True)


class DepthwiseNorm(nn.Module):
    """A convolution of every channel with its own kernel, then batch normalisation.

    ``place`` is ``device`` and ``dtype``, as torch's layers take them.
    """

    def __init__(
        self,
        in_channels: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int = 0,
        momentum: float = 0.1,
        **place: Any,
    ) -> None:
        super().__init__()
        sizes = in_channels, in_channels, kernel_size, stride, padding
        self.conv = nn.Conv2d(*sizes, groups=in_channels, bias=False, **place)
        self.bn = nn.BatchNorm2d(in_channels, momentum=momentum, **place)

    def forward(
        self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        """(N, C, H, W), or its affine ``scale * x + shift``, to (N, C, H', W')."""
        return normalise(self.bn, self.convolve(x, scale, shift))

    def convolve(
        self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        """The same without the normalisation."""
        x = to_layer_dtype(x, self.conv)
        if not needs_torchs_operators() and is_convolution(self.conv, **_STRIDED):
            y = strided_gather(x, self.conv.weight, scale, shift)
            return _add_bias(y, self.conv.bias)
        if scale is not None and shift is not None:
            x = torch.addcmul(shift.view(1, -1, 1, 1), x, scale.view(1, -1, 1, 1)).to(x.dtype)
        return fuse_grid(self.conv, x)


def fuse_grid(conv: nn.Module, x: Tensor) -> Tensor:
    """A depth-wise convolution; as a product where the kernel covers the map, which is faster."""
    size = (x.shape[2], x.shape[3])
    if not is_traced() and is_convolution(conv, kernel=size, depthwise=True):
        dtype = statistics_dtype(x)
        product = (x.to(dtype) * conv.weight[:, 0].to(dtype)).sum((2, 3), keepdim=True)
        return _add_bias(product.to(x.dtype), conv.bias)
    y: Tensor = conv(x)
    return y


def _add_bias(y: Tensor, bias: Tensor | None) -> Tensor:
    return y if bias is None else y + bias.to(y.dtype)[:, None, None]


# A batch normalisation over fewer values than this says little about the data.
FEW_VALUES = 8


def normalise(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply a batch normalisation, also to a batch with one value per channel or none.

    A global gather leaves one value an image, so that in training a batch of one image has no
    variance; torch raises there, which would end an epoch whose last batch is a single image.
    The running statistics stand in. The same holds for N = 0, which would make them NaN.
    Few values are normalised as they are, with a warning.

    Args:
        norm (nn.Module): A BatchNorm2d, or what it was converted to (a SyncBatchNorm that sees the
            values of other processes is left alone).
        x (Tensor): (N, C, H, W).

    Returns:
        Tensor: (N, C, H, W).
    """
    # Asked first: an export would otherwise bind the batch to one side of the limit.
    if not norm.training or not _sees_these_alone(norm):
        return norm(x)
    values = x.shape[0] * x.shape[2] * x.shape[3]
    if values >= FEW_VALUES:
        return norm(x)
    if values > 0 and not torch.compiler.is_compiling():
        warnings.warn(
            f'a gate in training normalises {values} value(s) per channel, too few to say much; '
            "use more images per GPU, sync_bn='torch' on several GPUs, or gate_norm_eval=True",
            stacklevel=2,
        )
    if values > 1:
        return norm(x)
    norm.training = False
    try:
        return norm(x)
    finally:
        norm.training = True


def _sees_these_alone(norm: nn.Module) -> bool:
    """Whether a batch normalisation has no values but those it is given."""
    if isinstance(norm, nn.SyncBatchNorm):
        return not dist.is_initialized() or dist.get_world_size(norm.process_group) == 1
    return isinstance(norm, nn.BatchNorm2d)


# What `make_constant` knows of a gate's last layer.
_LAST: tuple[type[nn.Module], ...] = (nn.Conv2d, nn.BatchNorm2d, nn.SyncBatchNorm)


@torch.no_grad()
def constant_gate(last: nn.Module) -> Tensor | None:
    """Zero the weight of a gate's last layer and return sigmoid(bias), (C,).

    None, with nothing changed, where the layer was replaced by one whose weight is not all it does.
    """
    weight = last._parameters.get('weight')
    if weight is None or not any(is_plain(last, kind) for kind in _LAST):
        return None
    nn.init.zeros_(weight)
    bias = last._parameters.get('bias')
    return torch.sigmoid(weight.new_zeros(weight.shape[0]) if bias is None else bias)


def init_default(conv: nn.Conv2d) -> None:
    """PyTorch's default weight, U(-1/sqrt(fan_in), 1/sqrt(fan_in)), with a zero bias."""
    conv.reset_parameters()
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
