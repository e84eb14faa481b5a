"""What users and libraries do to the layers of a network, each of it an assumption set wrong.

A change takes a layer and returns what stands in its place: itself, or another.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm


def _random(*shape):
    return nn.Parameter(torch.randn(*shape, dtype=torch.float64) / 2)


def _set(**values):
    def change(layer):
        for name, value in values.items():
            setattr(layer, name, value)
        return layer

    return change


def bias(conv):
    conv.bias = _random(conv.weight.shape[0])
    return conv


def fewer_groups(conv):
    conv.groups = max(conv.groups // 2, 1) if conv.groups > 1 else 4
    conv.weight = _random(conv.weight.shape[0], conv.in_channels // conv.groups, *conv.kernel_size)
    return conv


def kernel(height, width):
    def change(conv):
        conv.weight = _random(*conv.weight.shape[:2], height, width)
        conv.padding = (height // 2, width // 2)
        return conv

    return change


def padding_mode(mode):
    def change(conv):
        sides = [side for side in reversed(conv.padding) for _ in range(2)]
        return _set(padding_mode=mode, _reversed_padding_repeated_twice=sides)(conv)

    return change


def smaller_kernel(conv):
    """The attributes of the module keep the old size, as after some pruning."""
    conv.weight = _random(*conv.weight.shape[:2], 1, 1)
    return conv


class Louder(nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


def subclass(conv):
    conv.__class__ = Louder
    return conv


def patched_forward(layer):
    kind = type(layer)
    layer.forward = lambda x: 2 * kind.forward(layer, x)
    return layer


class Adapter(nn.Module):
    """As LoRA wraps a convolution: no ``weight``, another path beside it, dropout."""

    def __init__(self, base):
        super().__init__()
        self.base, self.dropout = base, nn.Dropout(0.5)
        self.slope = _random(1)

    def forward(self, x):
        y = self.base(x)
        return y + self.slope * self.dropout(y)


def forward_hook(layer):
    layer.register_forward_hook(lambda module, inputs, output: 2 * output)
    return layer


def forward_pre_hook(layer):
    layer.register_forward_pre_hook(lambda module, inputs: (inputs[0] / 2,))
    return layer


def backward_hook(layer):
    layer.register_full_backward_hook(lambda module, inner, outer: (2 * inner[0],))
    return layer


def backward_pre_hook(layer):
    layer.register_full_backward_pre_hook(lambda module, outer: (3 * outer[0],))
    return layer


class Negative(torch.Tensor):
    """A weight with operators of its own, as quantised and distributed ones have."""

    operators = (F.conv2d, torch.conv2d, F.batch_norm, torch.batch_norm)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        result = super().__torch_function__(function, types, args, kwargs or {})
        if function in cls.operators and isinstance(result, cls):
            return -result.as_subclass(torch.Tensor)
        return result


def tensor_subclass(layer):
    weight = layer.weight.detach().as_subclass(Negative)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


def pruned(conv):
    prune.random_unstructured(conv, 'weight', 0.5)
    return conv


def frozen(layer):
    return layer.requires_grad_(False)


CONVOLUTION = dict(
    bias=bias,
    fewer_groups=fewer_groups,
    stride_1=_set(stride=(1, 1)),
    stride_3=_set(stride=(3, 3)),
    stride_2_1=_set(stride=(2, 1)),
    kernel_5=kernel(5, 5),
    kernel_3_1=kernel(3, 1),
    smaller_kernel=smaller_kernel,
    no_padding=_set(padding=(0, 0)),
    padding_2=_set(padding=(2, 2)),
    padding_valid=_set(padding='valid'),
    padding_reflect=padding_mode('reflect'),
    padding_circular=padding_mode('circular'),
    padding_replicate=padding_mode('replicate'),
    dilation=_set(dilation=(2, 2)),
    subclass=subclass,
    adapter=Adapter,
    tensor_subclass=tensor_subclass,
    pruned=pruned,
    weight_norm=parametrizations.weight_norm,
    spectral_norm=parametrizations.spectral_norm,
    old_weight_norm=weight_norm,
    old_spectral_norm=spectral_norm,
)


def without(*names):
    def change(norm):
        for name in names:
            norm.register_buffer(name, None) if 'running' in name else setattr(norm, name, None)
        return norm

    return change


class Squared(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x).square()


def other_norm(make):
    return lambda norm: make(norm.num_features).double().train(norm.training)


def normalisation_subclass(norm):
    norm.__class__ = Squared
    return norm


def other_mode(norm):
    return norm.train(not norm.training)


NORMALISATION = dict(
    no_affine=without('weight', 'bias'),
    no_weight=without('weight'),
    no_bias=without('bias'),
    no_statistics=without('running_mean', 'running_var', 'num_batches_tracked'),
    untracked=_set(track_running_stats=False),
    eps=_set(eps=0.5),
    cumulative=_set(momentum=None),
    cumulative_uncounted=_set(momentum=None, num_batches_tracked=None),
    group_norm=other_norm(lambda channels: nn.GroupNorm(4, channels)),
    instance_norm=other_norm(nn.InstanceNorm2d),
    identity=lambda norm: nn.Identity(),
    sync=other_norm(nn.SyncBatchNorm),
    other_mode=other_mode,
    subclass=normalisation_subclass,
    tensor_subclass=tensor_subclass,
)

ANY = dict(
    patched_forward=patched_forward,
    forward_hook=forward_hook,
    forward_pre_hook=forward_pre_hook,
    backward_hook=backward_hook,
    backward_pre_hook=backward_pre_hook,
    frozen=frozen,
)

ACTIVATION = dict(
    hard=lambda layer: nn.Hardsigmoid() if isinstance(layer, nn.Sigmoid) else nn.ReLU6(),
    leaky=lambda layer: nn.LeakyReLU(0.2),
)


def changes_of(layer):
    """The changes that make sense for a layer, by name."""
    if isinstance(layer, nn.Conv2d):
        return CONVOLUTION | ANY
    if isinstance(layer, nn.BatchNorm2d):
        return NORMALISATION | ANY
    if isinstance(layer, (nn.ReLU, nn.Sigmoid)):
        return ACTIVATION | ANY
    return {}
