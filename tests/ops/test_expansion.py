"""What brings averages and products from a narrow map to a wide one, against the wide map."""

import pytest
import torch

from ge_det.ops.expansion import affine, expand_average, project, pull_back


@pytest.fixture
def maps():
    u = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    weight, scale, shift = (torch.randn(*s, dtype=torch.float64) for s in ((8, 3), (8,), (8,)))
    z = torch.einsum('cp,nphw->nchw', weight, u) * scale[:, None, None] + shift[:, None, None]
    return u, weight, scale, shift, z


def test_expand_average(maps):
    u, weight, scale, shift, z = maps
    mean = expand_average(u.mean(2, keepdim=True), weight, scale, shift)
    torch.testing.assert_close(mean, z.mean(2, keepdim=True))


@pytest.mark.parametrize('groups', [1, 2, 8])
def test_pull_back_and_project(maps, groups):
    u, weight, scale, shift, z = maps
    vectors = torch.randn(2, groups, 8 // groups, dtype=torch.float64)
    wide = torch.einsum('ngc,ngchw->nghw', vectors, z.unflatten(1, (groups, -1)))
    constant = (vectors.flatten(1) * shift).unflatten(1, (groups, -1)).sum(2)[..., None, None]
    torch.testing.assert_close(project(u, pull_back(vectors, weight, scale)) + constant, wide)


def test_products_keep_their_dtype_under_autocast(maps):
    u, weight, scale, shift, _ = (x.float() for x in maps)
    with torch.autocast('cpu', torch.bfloat16):
        mean = expand_average(u.bfloat16().mean((2, 3), keepdim=True), weight, scale, shift)
        pulled = pull_back(torch.ones(2, 2, 4), weight, scale)
        product = project(u.bfloat16(), pulled)
    assert mean.dtype == pulled.dtype == product.dtype == torch.float32


def test_affine_of_nothing_is_the_map_itself(maps):
    assert affine(maps[0], None, None) is maps[0]
