"""What a traced block computes, in torch's own operators: the same, with gradients."""

import pytest
import torch
from block_cases import BLOCKS, CHANNELS, random_block


@pytest.mark.parametrize('size', [(1, 1), (1, 2), (9, 7)], ids=str)
@pytest.mark.parametrize('name', BLOCKS)
def test_it_is_that_of_an_eager_one(name, size, monkeypatch):
    block = random_block(name).eval()
    x = torch.randn(2, CHANNELS, *size, dtype=torch.float64, requires_grad=True)
    results = []
    for traced in (False, True):
        with monkeypatch.context() as patch:
            if traced:
                patch.setattr(torch.jit, 'is_tracing', lambda: True)
            out = block(x)
        inputs = [x, *block.parameters()]
        results.append([out, *torch.autograd.grad(out.sin().sum(), inputs, allow_unused=True)])
    for traced, eager in zip(*results, strict=True):
        torch.testing.assert_close(traced, eager)
