"""The fused end of a residual unit against literal references, with all gradients."""

import copy

import pytest
import torch
from block_cases import BLOCKS, CHANNELS, random_block
from naive_blocks import norm_tensors
from naive_blocks import reference as gated
from torch import nn

from ge_det.blocks import averaged
from ge_det.execution import ConvNormGate, finish_unit, fused
from ge_det.ops import naive

each_block = pytest.mark.parametrize('name', BLOCKS)
each_mode = pytest.mark.parametrize('training', [True, False], ids=['batch', 'fixed'])


def random_tail(name, training, kernel_size=1):
    """Convolution from 3 channels, normalisation and block, with random weights and statistics."""
    conv = nn.Conv2d(3, CHANNELS, kernel_size, padding=kernel_size // 2, bias=False).double()
    norm = nn.BatchNorm2d(CHANNELS).double().train(training)
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(tensor)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return ConvNormGate(conv, norm, random_block(name).train(training))


def reference(u, identity, tail):
    """relu(identity + gated), the block by its own literal reference."""
    y = (
        naive.pointwise_conv(u, tail.conv.weight)
        if fused.is_pointwise(tail.conv)
        else torch.nn.functional.conv2d(u, tail.conv.weight, padding=1)
    )
    z = naive.batch_norm(y, norm_tensors(tail.norm))
    return naive.relu(identity + gated(tail.gate, z))


def assert_equals_reference(tail, size, batch=2):
    u = torch.rand(batch, 3, *size, dtype=torch.float64, requires_grad=True)
    identity = torch.randn(batch, CHANNELS, *size, dtype=torch.float64, requires_grad=True)
    inputs = [u, identity, *(p for module in tail[:3] for p in module.parameters())]
    upstream = torch.randn_like(identity)

    expected = reference(u, identity, tail)
    expected_grads = torch.autograd.grad(expected, inputs, upstream, allow_unused=True)
    actual = finish_unit(u, identity, tail)
    grads = torch.autograd.grad(actual, inputs, upstream, allow_unused=True)

    torch.testing.assert_close(actual, expected, atol=1e-11, rtol=1e-10)
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        zero = torch.zeros(())
        grad = zero if grad is None else grad
        expected_grad = zero if expected_grad is None else expected_grad
        torch.testing.assert_close(
            *torch.broadcast_tensors(grad, expected_grad), atol=1e-8, rtol=1e-8, check_dtype=False
        )


@each_block
@each_mode
@pytest.mark.parametrize('size', [(9, 7), (5, 4), (2, 3)], ids=str)
def test_equals_reference(name, training, size):
    assert_equals_reference(random_tail(name, training), size)


@each_block
@each_mode
def test_equals_reference_after_a_wide_convolution(name, training):
    """ResNet-18 and 34: nothing commutes with a 3x3 convolution."""
    assert_equals_reference(random_tail(name, training, kernel_size=3), (6, 5))


@each_block
def test_equals_reference_at_a_single_position(name):
    assert_equals_reference(random_tail(name, training=False), (1, 1), batch=1)


@pytest.mark.parametrize('name', ['se', 'ge-theta_plus-global', 'rg-se-1'])
@pytest.mark.parametrize('folding', [True, False])
def test_every_way_to_the_same_result(name, folding, monkeypatch):
    """Folded into the weights or not, with averages of the input or of the output."""
    monkeypatch.setattr(fused, 'POSITIONS_PER_COLUMN', 0 if folding else 1e9)
    tail = random_tail(name, training=False)
    assert_equals_reference(tail, (9, 7))
    monkeypatch.setattr(averaged, 'LARGEST_AVERAGES', 0)
    assert_equals_reference(tail, (9, 7))


@each_block
def test_running_statistics_and_modes_are_those_of_the_modules(name):
    tail = random_tail(name, training=True)
    tail.norm.momentum = None  # the cumulative average
    modules = copy.deepcopy(tail)
    for _ in range(2):
        u, identity = torch.rand(3, 3, 6, 5).double(), torch.zeros(3, CHANNELS, 6, 5).double()
        finish_unit(u, identity, tail)
        modules.gate(modules.norm(modules.conv(u)))
    for part, expected in zip(tail[:3], modules[:3], strict=True):
        for key, value in part.state_dict().items():
            torch.testing.assert_close(value, expected.state_dict()[key])


def test_one_value_a_channel_in_training_is_refused_as_by_the_module():
    tail = random_tail('se', training=True)
    with pytest.raises(ValueError, match='more than 1 value per channel'):
        finish_unit(torch.rand(1, 3, 1, 1).double(), torch.zeros(1, CHANNELS, 1, 1), tail)
