"""The pyramid of SP-SE's averages, whether its cells nest or not."""

import pytest
import torch

from ge_det.ops.two_stage_pool import eager, pool_pyramid, pool_to_grid
from ge_det.ops.two_stage_pool.naive import grid_mean


@pytest.mark.parametrize('levels', [(1, 2, 4), (4, 1, 2), (2, 3), (1, 3, 6), (1,)], ids=str)
@pytest.mark.parametrize('size', [(8, 12), (12, 6), (8, 9), (10, 12), (4, 4), (1, 1)], ids=str)
def test_equals_the_mean_of_each_cell_with_gradients(size, levels):
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    expected = [grid_mean(x, (level, level)) for level in levels]
    upstream = [torch.randn_like(mean) for mean in expected]
    wanted = torch.autograd.grad(expected, x, upstream)
    actual = pool_pyramid(x, levels)
    torch.testing.assert_close(list(actual), expected)
    torch.testing.assert_close(torch.autograd.grad(actual, x, upstream), wanted)


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def steps_back(node):
    yield node.name()
    for before, _ in node.next_functions:
        if before is not None:
            yield from steps_back(before)


def test_is_differentiated_by_products_where_pooling_has_no_deterministic_gradient(deterministic):
    x = torch.empty(1, 2, 9, 7, device='meta', requires_grad=True)  # No CPU, as a GPU is.
    pooled = pool_to_grid(x, (4, 3))
    assert pooled.shape == (1, 2, 4, 3)
    assert not any('AdaptiveAvgPool' in name for name in steps_back(pooled.grad_fn))
    x = torch.randn(2, 3, 9, 7, dtype=torch.float64)
    torch.testing.assert_close(eager._pool_by_products(x, (4, 3)), pool_to_grid(x, (4, 3)))
