"""FLOP counters of others see what ours do: torch's own operators."""

import pytest
import torch
from block_cases import BLOCKS, CHANNELS, random_block
from mmengine.analysis import FlopAnalyzer
from torch.utils.flop_counter import FlopCounterMode

from ge_det import AttentionResNet
from ge_det.catalogue import attention_config


def counted(network, x):
    """Products, a multiply-add as two, by PyTorch's counter."""
    with FlopCounterMode(display=False) as counter:
        network(x)
    return counter.get_total_flops()


def products(network, x):
    """The same by MMEngine's, which traces: multiply-adds."""
    by_operator = FlopAnalyzer(network, (x,)).unsupported_ops_warnings(False).by_operator()
    return 2 * sum(by_operator[name] for name in ('conv', 'linear', 'matmul', 'bmm', 'einsum'))


@pytest.mark.parametrize('extent, maps', [(2, [(8, 7)]), (8, [(8, 7), (4, 4), (2, 2)])], ids=str)
def test_strided_convolutions_of_theta_are_counted(extent, maps):
    block, x = random_block(f'ge-theta-{extent}', torch.float32).eval(), torch.randn(1, 8, 16, 13)
    positions = sum(height * width for height, width in maps)
    assert counted(block, x) == products(block, x) == 2 * 9 * CHANNELS * positions
    forward = counted(block, x)
    with FlopCounterMode(display=False) as counter:
        block(x.requires_grad_()).sum().backward()
    assert counter.get_total_flops() >= 3 * forward  # Of the map and of the kernel.


@pytest.mark.parametrize('name', BLOCKS)
def test_counters_agree_on_every_block(name):
    block, x = random_block(name, torch.float32).eval(), torch.randn(1, CHANNELS, 9, 11)
    expected = block(x)
    assert counted(block, x) == products(block, x)
    with FlopCounterMode(display=False):
        torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize('name', ['se', 'sge', 'ge-theta-e8', 'rg-se'])
def test_convolutions_of_fused_units_are_counted(name):
    attention = attention_config(name, 32)
    network = AttentionResNet(50, attention, base_channels=8).eval()
    modules = AttentionResNet(50, attention, base_channels=8, fused=False).eval()
    x = torch.randn(1, 3, 64, 96)
    assert 'fused' in {plan.runs for plan in network.execution_plan()}
    assert counted(network, x) == counted(modules, x) == products(network, x) > 0
