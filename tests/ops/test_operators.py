"""The operators of fused execution against their formulas, in float64, with gradients."""

import pytest
import torch
import torch.nn.functional as F

from ge_det.ops import (
    apply_gate,
    batch_statistics,
    folded_convolution,
    folded_residual,
    gated_residual,
    gated_residual_,
    similarity_gate,
    strided_gather,
    upsample_nearest,
    window_mean,
)
from ge_det.ops.batch_statistics import naive as naive_statistics
from ge_det.ops.cells import sum_cells
from ge_det.ops.folded_residual import naive as naive_folded
from ge_det.ops.gated_residual import naive as naive_gated
from ge_det.ops.gated_residual import pieces
from ge_det.ops.strided_gather import eager as gathering_eager
from ge_det.ops.strided_gather import naive as naive_strided
from ge_det.ops.window_mean import naive as naive_window

FORMATS = [torch.contiguous_format, torch.channels_last]
each_format = pytest.mark.parametrize('memory_format', FORMATS, ids=['nchw', 'channels_last'])

# Gate (G, h, w) for features (N, 8, H, W).
GATES = {
    'channels': lambda height, width: (8, 1, 1),
    'groups': lambda height, width: (2, 1, 1),
    'coarse': lambda height, width: (8, -(-height // 2), -(-width // 3)),
    'columns': lambda height, width: (8, 1, width),
    'finer': lambda height, width: (4, height + 3, width + 2),
    'positions': lambda height, width: (4, height, width),
}


def random(*size, dtype=torch.float64, memory_format=torch.contiguous_format):
    x = torch.randn(*size, dtype=dtype)
    return x.contiguous(memory_format=memory_format).requires_grad_()


def assert_same_with_gradients(actual, expected, inputs):
    """Equal values, and equal gradients of all inputs that are there."""
    inputs = [x for x in inputs if x is not None]
    upstream = torch.randn_like(expected)
    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=1e-10)
    grads = torch.autograd.grad(actual, inputs, upstream, retain_graph=True)
    expected_grads = torch.autograd.grad(expected, inputs, upstream, retain_graph=True)
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(grad, expected_grad, atol=1e-10, rtol=1e-9)


def in_small_pieces(monkeypatch):
    monkeypatch.setattr(pieces, 'BAND_BYTES', 2000)


@each_format
@pytest.mark.parametrize('affine', [True, False], ids=['affine', 'as-is'])
@pytest.mark.parametrize('gate', GATES)
@pytest.mark.parametrize('size', [(7, 5), (1, 1), (1, 6), (13, 9)], ids=str)
def test_gated_residual(size, gate, affine, memory_format, monkeypatch):
    in_small_pieces(monkeypatch)
    y = random(2, 8, *size, memory_format=memory_format)
    identity = random(2, 8, *size)
    s = torch.rand(2, *GATES[gate](*size), dtype=torch.float64, requires_grad=True)
    scale, shift = (random(8), random(8)) if affine else (None, None)

    fused = gated_residual(y, identity, s, scale, shift)
    expected = naive_gated.gated_residual(y, identity, s, scale, shift)
    assert fused.is_contiguous(memory_format=memory_format)
    assert_same_with_gradients(fused, expected, (y, identity, s, scale, shift))

    if not affine:
        gated = naive_gated.gated_residual(y, None, s)
        assert_same_with_gradients(apply_gate(y, s), gated, (y, s))


@each_format
@pytest.mark.parametrize('gate', GATES)
@pytest.mark.parametrize('size', [(7, 5), (1, 1), (1, 6), (13, 9)], ids=str)
@torch.no_grad()
def test_gated_residual_in_the_place_of_its_input(size, gate, memory_format, monkeypatch):
    in_small_pieces(monkeypatch)
    y, identity = random(2, 8, *size, memory_format=memory_format), random(2, 8, *size)
    s = torch.rand(2, *GATES[gate](*size), dtype=torch.float64)
    expected = naive_gated.gated_residual(y, identity, s)
    assert gated_residual_(y, identity, s) is y
    torch.testing.assert_close(y, expected, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('gate', GATES)
def test_gated_residual_in_half_precision(dtype, gate):
    y, identity = random(2, 8, 9, 7, dtype=dtype), random(2, 8, 9, 7, dtype=dtype)
    s = torch.rand(2, *GATES[gate](9, 7), dtype=dtype, requires_grad=True)
    scale, shift = random(8, dtype=torch.float32), random(8, dtype=torch.float32)
    inputs = (y, identity, s, scale, shift)

    fused = gated_residual(*inputs)
    exact = naive_gated.gated_residual(*(x.double() for x in inputs))
    grads = torch.autograd.grad(fused, inputs, torch.ones_like(fused))
    exact_grads = torch.autograd.grad(exact, inputs, torch.ones_like(exact))

    # Gradients of scale and shift are sums of a few hundred values, each as exact as its inputs.
    tolerance = 16 * torch.finfo(dtype).eps
    assert fused.dtype == dtype
    torch.testing.assert_close(fused.double(), exact, atol=tolerance, rtol=tolerance)
    for grad, exact_grad, x in zip(grads, exact_grads, inputs, strict=True):
        assert grad.dtype == x.dtype
        scaled = tolerance * max(exact_grad.abs().max().item(), 1)
        torch.testing.assert_close(grad.double(), exact_grad.double(), atol=scaled, rtol=tolerance)


@each_format
@pytest.mark.parametrize('size', [(7, 5), (1, 1), (1, 6)], ids=str)
def test_folded_residual(size, memory_format):
    identity = random(2, 8, *size)
    u, weight = random(2, 3, *size, memory_format=memory_format), random(8, 3)
    slope, offset = random(2, 8), random(2, 8)
    fused = folded_residual(u, identity, weight, slope, offset)
    assert fused.is_contiguous(memory_format=memory_format)
    expected = naive_folded.folded_residual(u, identity, weight, slope, offset)
    assert_same_with_gradients(fused, expected, (u, identity, weight, slope, offset))

    slope, offset = random(8), random(8)
    z = naive_folded.folded_residual(u, None, weight, slope[None], offset[None])
    product = folded_convolution(u, weight, slope, offset)
    assert_same_with_gradients(product, z, (u, weight, slope, offset))


@pytest.mark.parametrize('size', [(7, 5), (20, 33), (1, 1)], ids=str)
@pytest.mark.parametrize('extent', [2, 4, 8])
@each_format
def test_window_mean(size, extent, memory_format):
    x = random(2, 3, *size, memory_format=memory_format)
    assert_same_with_gradients(window_mean(x, extent), naive_window.window_mean(x, extent), (x,))
    assert window_mean(x.detach().half(), extent).dtype == torch.float32


@each_format
@pytest.mark.parametrize('affine', [True, False], ids=['affine', 'as-is'])
@pytest.mark.parametrize('block_bytes', [1, 2**24], ids=['blocks', 'whole'])
@pytest.mark.parametrize('size', [(7, 5), (6, 4), (1, 1)], ids=str)
def test_strided_gather(size, block_bytes, affine, memory_format, monkeypatch):
    monkeypatch.setattr(gathering_eager, 'BLOCK_BYTES', block_bytes)
    y, kernel = random(2, 12, *size, memory_format=memory_format), random(12, 1, 3, 3)
    scale, shift = (random(12), random(12)) if affine else (None, None)
    expected = naive_strided.strided_gather(y, kernel, scale, shift)
    assert_same_with_gradients(
        strided_gather(y, kernel, scale, shift), expected, (y, kernel, scale, shift)
    )


@pytest.mark.parametrize('groups', [1, 2, 4])
@pytest.mark.parametrize('own_channels', [True, False], ids=['own-channels', 'all-channels'])
@pytest.mark.parametrize('size', [(5, 4), (1, 7), (1, 1)], ids=str)
def test_similarity_gate(size, own_channels, groups):
    x = random(2, 8, *size)
    projection = random(2, groups, 8 // groups if own_channels else 8)
    weight, bias = random(1, groups, 1, 1), random(1, groups, 1, 1)

    if own_channels:
        vectors = x.unflatten(1, (groups, -1))
        c = torch.einsum('ngk,ngkhw->nghw', projection, vectors)
    else:
        c = torch.einsum('ngk,nkhw->nghw', projection, x)
    normalised = c - c.mean((2, 3), keepdim=True)
    if size != (1, 1):
        normalised = normalised / (c.std((2, 3), keepdim=True) + 1e-5)
    expected = torch.sigmoid(weight * normalised + bias)
    gate = similarity_gate(x, projection, weight, bias)
    assert_same_with_gradients(gate, expected, (x, projection, weight, bias))


def test_similarity_gate_takes_gradients_of_any_layout():
    x, projection = random(2, 8, 3, 4), random(2, 4, 2)
    gate = similarity_gate(x, projection, random(1, 4, 1, 1), random(1, 4, 1, 1))
    upstream = torch.randn_like(gate)
    for layout in (torch.channels_last, torch.contiguous_format):
        grads = torch.autograd.grad(
            gate, (x, projection), upstream.contiguous(memory_format=layout), retain_graph=True
        )
        expected = torch.autograd.grad(gate, (x, projection), upstream, retain_graph=True)
        torch.testing.assert_close(grads, expected)


def test_similarity_gate_of_equal_positions_has_finite_gradients():
    x = torch.ones(2, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    weight, bias = random(1, 2, 1, 1), random(1, 2, 1, 1)
    gate = similarity_gate(x, torch.zeros(2, 2, 4, dtype=torch.float64), weight, bias)
    for grad in torch.autograd.grad(gate.sum(), (x, weight, bias)):
        assert grad.isfinite().all()


@each_format
def test_batch_statistics(memory_format):
    y = random(3, 4, 5, 2, memory_format=memory_format)
    mean, var = batch_statistics(y)
    expected_mean, expected_var = naive_statistics.batch_statistics(y)
    assert_same_with_gradients(mean + var.sin(), expected_mean + expected_var.sin(), (y,))
    half = y.detach().half()
    assert [statistic.dtype for statistic in batch_statistics(half)] == [torch.float32] * 2


def test_cells_are_exact_where_floating_point_is_not():
    coarse = torch.arange(16.0).view(1, 1, 1, 16)
    positions = [i * 16 // 122 for i in range(122)]
    assert upsample_nearest(coarse, (1, 122)).flatten().tolist() == positions
    assert F.interpolate(coarse, size=(1, 122)).flatten().tolist() != positions


@pytest.mark.parametrize('cells', [(3, 2), (1, 4), (7, 1), (7, 6), (1, 1)], ids=str)
def test_sum_cells_is_the_adjoint_of_upsampling(cells):
    coarse, fine = torch.randn(2, *cells).double(), torch.randn(2, 7, 6).double()
    up = upsample_nearest(coarse, (7, 6)).expand(2, 7, 6)
    summed = sum_cells(fine, cells)
    assert summed.shape == coarse.shape
    assert torch.isclose((up * fine).sum(), (coarse * summed).sum())


def test_operators_pass_torchs_own_checks():
    y, identity = random(2, 8, 6, 5), random(2, 8, 6, 5)
    scale, shift, kernel = random(8), random(8), random(8, 1, 3, 3)
    u, namespace = random(2, 3, 6, 5), torch.ops.ge_det
    cases = [
        (namespace.gated_residual, (y, identity, torch.rand(2, 8, 3, 2).double(), scale, shift)),
        (namespace.gated_residual, (y, None, torch.rand(2, 2, 6, 5).double(), None, None)),
        (
            namespace.gated_residual_,
            (y.detach(), identity.detach(), torch.rand(2, 8, 3, 2).double()),
        ),
        (namespace.folded, (u, identity, random(8, 3), random(2, 8), random(2, 8))),
        (namespace.folded, (u, None, random(8, 3), random(1, 8), random(1, 8))),
        (namespace.window_mean, (y, 2)),
        (namespace.strided_gather, (y, kernel, scale, shift)),
        (namespace.strided_gather, (y, kernel, None, None)),
        (namespace.batch_statistics, (y,)),
        (namespace.similarity_gate, (y, random(2, 2, 8), random(2), random(2))),
    ]
    for operator, arguments in cases:
        torch.library.opcheck(operator, arguments)
