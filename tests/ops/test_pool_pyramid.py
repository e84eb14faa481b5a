"""The pyramid of SP-SE's averages, whether its cells nest or not."""

import pytest
import torch

from ge_det.ops.two_stage_pool import pool_pyramid
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
