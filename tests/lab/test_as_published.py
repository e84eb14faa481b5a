"""The transcriptions compute what the blocks compute, so that a comparison of times is fair."""

from __future__ import annotations

import pytest
import torch
from attention_cases import ATTENTION
from block_cases import BLOCKS, CHANNELS, random_block
from torch import nn

import ge_det
from ge_det.blocks import AttentionBlock
from lab.as_published import as_published, replace_blocks

SIZES = ((9, 13), (16, 7), (3, 2))


def run(module: nn.Module, x: torch.Tensor, cotangent: torch.Tensor) -> list[torch.Tensor]:
    """The output, the gradient of the input and those of the parameters."""
    x = x.clone().requires_grad_()
    y = module(x)
    gradients = torch.autograd.grad((y * cotangent).sum(), [x, *module.parameters()])
    return [y.detach(), *gradients]


@pytest.mark.parametrize('training', [False, True], ids=['eval', 'train'])
@pytest.mark.parametrize('name', BLOCKS)
def test_same_outputs_gradients_and_statistics(name: str, training: bool) -> None:
    block = random_block(name).train(training)
    published = as_published(block)
    assert len(list(published.parameters())) == len(list(block.parameters()))
    for size in SIZES:
        x = torch.randn(2, CHANNELS, *size, dtype=torch.float64)
        cotangent = torch.randn_like(x)
        ours, theirs = run(block, x, cotangent), run(published, x, cotangent)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(b.reshape(a.shape), a, rtol=1e-9, atol=1e-9)
    statistics = [t for t in block.buffers() if t.is_floating_point()]
    copies = [t for t in published.buffers() if t.is_floating_point()]
    for a, b in zip(statistics, copies, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.filterwarnings('ignore:a gate in training normalises')
@pytest.mark.parametrize('name', [name for name in BLOCKS if name.endswith(('global', 'se'))])
def test_one_image_in_training(name: str) -> None:
    block = random_block(name).train()
    x = torch.randn(1, CHANNELS, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(as_published(block)(x), block(x))


def test_nothing_is_shared_and_frozen_stays_frozen() -> None:
    block = random_block('sp-se')
    block.excite.requires_grad_(False)
    block.bn.eval()
    published = as_published(block)
    own = {t.data_ptr() for t in (*block.parameters(), *block.buffers())}
    assert own.isdisjoint(t.data_ptr() for t in (*published.parameters(), *published.buffers()))
    flags = [p.requires_grad for p in block.parameters()]
    assert [p.requires_grad for p in published.parameters()] == flags
    (norm,) = (m for m in published.modules() if isinstance(m, nn.BatchNorm2d))
    assert not norm.training


@pytest.mark.parametrize('name', ['se', 'ge-theta-e8', 'rg-se'])
def test_a_whole_network(name: str) -> None:
    network = ge_det.AttentionResNet(50, attention=ATTENTION[name], fused=False, base_channels=8)
    network.eval()
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        before = network(x)
        assert replace_blocks(network) == 16
        after = network(x)
    assert not any(isinstance(module, AttentionBlock) for module in network.modules())
    for a, b in zip(before, after, strict=True):
        assert a.abs().max() > 0.01
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_block_of_others_is_refused() -> None:
    class Own(ge_det.SqueezeExcite):
        pass

    with pytest.raises(TypeError, match='no transcription of Own'):
        as_published(Own(16))
