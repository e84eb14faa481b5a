"""The Triton kernels against plain float64 formulas, in Triton's interpreter or on a GPU."""

import pytest
import torch
import torch.nn.functional as F
from triton_interpreter import DEVICE, import_triton

from ge_det.ops.triton_tools import runtime

LAST = [False, True]
TOLERANCE = {
    torch.float64: 1e-12,
    torch.float32: 2e-5,
    torch.float16: 2e-3,
    torch.bfloat16: 1.6e-2,
}


def define_offset_kernel():
    global offset_kernel, element_offset, tl
    import triton
    import triton.language as tl

    from ge_det.ops.triton_tools.indexing import element_offset

    @triton.jit
    def offset_kernel(out, channels, positions, CHANNELS_LAST: tl.constexpr):
        """Offset of the last element of each image."""
        n = tl.program_id(0)
        c = channels - 1 + tl.arange(0, 1)
        p = positions - 1 + tl.arange(0, 1)
        offset = element_offset(n, c, p, channels, positions, CHANNELS_LAST)
        tl.store(out + n + tl.arange(0, 1), offset)


PROBLEM = import_triton(define_offset_kernel)
pytestmark = pytest.mark.skipif(PROBLEM is not None, reason=str(PROBLEM))


@pytest.fixture(autouse=True)
def interpreter(monkeypatch):
    if DEVICE == 'cpu':
        monkeypatch.setenv('TRITON_INTERPRET', '1')


def rand(*shape, dtype=torch.float32, last=False):
    x = torch.randn(shape).to(DEVICE, dtype)
    return x.contiguous(memory_format=torch.channels_last) if last else x


def assert_near(actual, exact, dtype=None):
    """Sums of many terms are as exact as their largest."""
    tolerance = TOLERANCE[dtype or actual.dtype]
    size = exact.abs().max().item() if exact.numel() else 0
    torch.testing.assert_close(actual.double(), exact, rtol=tolerance, atol=tolerance * (1 + size))


def gated(y, identity, gate, scale, shift):
    """The formula of the gated residual."""
    up = gate.repeat_interleave(y.shape[1] // gate.shape[1], 1)
    rows, columns = (
        torch.arange(size, device=y.device) * cells // size
        for size, cells in zip(y.shape[2:], gate.shape[2:], strict=True)
    )
    z = y if scale is None else y * scale[:, None, None] + shift[:, None, None]
    value = up[:, :, rows][:, :, :, columns] * z
    return value if identity is None else torch.relu(value + identity)


def gated_inputs(case, dtype=torch.float32, last=False, affine=True, identity=True):
    shape, groups, cells = case
    vector = torch.float64 if dtype == torch.float64 else torch.float32
    return [
        rand(*shape, dtype=dtype, last=last),
        rand(*shape, dtype=dtype, last=last) if identity else None,
        rand(shape[0], groups, *cells, dtype=vector, last=last).sigmoid(),
        *(rand(shape[1], dtype=vector) if affine else None for _ in range(2)),
    ]


def check_gated(y, identity, gate, scale, shift, grad=None):
    inputs = [y, identity, gate, scale, shift]
    exact = [None if x is None else x.double().requires_grad_() for x in inputs]
    wanted = gated(*exact)
    out = runtime.load('gated_residual.forward')(*inputs)
    assert out.dtype == y.dtype and out.stride() == torch.empty_like(y).stride()
    assert_near(out, wanted.detach())

    grad = torch.randn_like(y) if grad is None else grad
    leaves = [x for x in exact if x is not None]
    gradients = iter(torch.autograd.grad(wanted, leaves, grad.double()))
    arguments = grad, None if identity is None else out, y, gate, scale, shift
    d, grad_y, *others = runtime.load('gated_residual.backward')(*arguments)
    for given, result in zip(inputs, [grad_y, d, *others], strict=True):
        assert (given is None) == (result is None)
        if given is not None:
            assert result.dtype == given.dtype and result.shape == given.shape
            assert_near(result, next(gradients))
    assert grad_y.stride() == torch.empty_like(y).stride()


CHANNEL, GROUP = ((2, 8, 7, 5), 8, (1, 1)), ((2, 8, 7, 5), 4, (7, 5))
COARSE, SHARED = ((2, 6, 13, 9), 6, (2, 3)), ((2, 6, 13, 9), 3, (2, 3))
GATED = {
    'channel': CHANNEL,
    'group': GROUP,
    'coarse': COARSE,
    'coarse-shared': SHARED,
    'channel-shared': ((2, 6, 5, 3), 2, (1, 1)),
    'one-position': ((1, 16, 1, 1), 16, (1, 1)),
    'one-channel-one-column': ((2, 1, 6, 1), 1, (6, 1)),
    'coarse-one-column': ((2, 3, 6, 1), 3, (2, 1)),
    'coarse-even': ((1, 4, 7, 16), 4, (3, 4)),
    'finer-than-the-map': ((1, 2, 3, 4), 2, (5, 4)),
    'channels-of-group-above-block': ((1, 24, 5, 4), 2, (5, 4)),
    'one-group-above-block': ((1, 130, 3, 2), 1, (3, 2)),
    'channels-above-block': ((1, 70, 2, 2), 70, (1, 1)),
    'coarse-channels-above-block': ((1, 70, 3, 2), 70, (2, 1)),
    'positions-above-block': ((1, 2, 33, 35), 2, (1, 1)),
    'group-positions-above-block': ((1, 2, 33, 35), 1, (33, 35)),
    'cells-above-block': ((1, 2, 4, 80), 2, (2, 40)),
    'cells-larger-than-block': ((1, 2, 40, 70), 2, (2, 1)),
}


@pytest.mark.parametrize('last', LAST)
@pytest.mark.parametrize('name', GATED)
def test_gated_residual(name, last):
    check_gated(*gated_inputs(GATED[name], last=last))


@pytest.mark.parametrize('affine, identity', [(False, True), (True, False), (False, False)])
@pytest.mark.parametrize('name', ['channel', 'group', 'coarse', 'coarse-shared'])
def test_gated_residual_without_parts(name, affine, identity):
    check_gated(*gated_inputs(GATED[name], affine=affine, identity=identity))


@pytest.mark.parametrize('dtype', [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('name', ['channel', 'group', 'coarse'])
def test_gated_residual_dtypes(name, dtype):
    y, identity, gate, scale, shift = gated_inputs(GATED[name], dtype, last=name == 'coarse')
    check_gated(y, identity, gate.to(dtype), scale, shift)


def test_gated_residual_of_mixed_formats():
    y, identity, gate, scale, shift = gated_inputs(GROUP, last=True)
    check_gated(y, identity.contiguous(), gate.contiguous(), scale, shift)
    check_gated(y.contiguous(), identity, gate, scale, shift, rand(1).expand_as(y))
    wide = rand(2, 16, 7, 10)[:, ::2, :, ::2]
    out = runtime.load('gated_residual.forward')(wide, identity, gate[:, :, ::2].mT.mT, *[None] * 2)
    assert_near(out, gated(wide, identity, gate[:, :, ::2], None, None).double())


def test_gated_residual_keeps_nan_and_repeats_itself():
    y, identity, gate, scale, shift = gated_inputs(GATED['positions-above-block'])
    identity[0, 1, 20, 20] = float('nan')
    out = runtime.load('gated_residual.forward')(y, identity, gate, scale, shift)
    assert out.isnan().nonzero().tolist() == [[0, 1, 20, 20]]
    arguments = y, out, y, gate, scale, shift
    twice = [runtime.load('gated_residual.backward')(*arguments) for _ in range(2)]
    for first, second in zip(*twice, strict=True):
        assert torch.equal(first.nan_to_num(7), second.nan_to_num(7))


@pytest.mark.parametrize('case', [((0, 4, 3, 2), 4, (1, 1)), ((2, 4, 0, 2), 2, (0, 2))])
def test_gated_residual_of_nothing(case):
    check_gated(*gated_inputs(case))


def test_gated_residual_refuses_what_does_not_fit():
    y, identity, gate, scale, shift = gated_inputs(CHANNEL)
    for arguments, message in [
        ((y, identity.half(), gate, scale, shift), 'identity .* must be like y'),
        ((y, identity, gate[:1], scale, shift), 'does not cover'),
        ((y, identity, gate[..., :0], scale, shift), 'does not cover'),
        ((y, identity, gate[:, :3], scale, shift), '8 channels cannot share 3 gates'),
        ((y, identity, gate, scale, None), 'give both or neither'),
        ((y, identity, gate, scale[:4], shift), r'scale must be \(8,\)'),
        ((y[0], identity, gate, scale, shift), r'y must be \(N, C, H, W\)'),
    ]:
        with pytest.raises(ValueError, match=message):
            runtime.load('gated_residual.forward')(*arguments)


@pytest.mark.parametrize('last', LAST)
@pytest.mark.parametrize(
    'shape, extent, dtype',
    [
        ((2, 3, 5, 9), 2, torch.float32),
        ((2, 3, 13, 9), 8, torch.float16),
        ((1, 2, 2, 8), 1, torch.bfloat16),
        ((1, 2, 7, 8), 3, torch.float64),
        ((1, 70, 1, 5), 4, torch.float32),
        ((1, 1, 3, 70), 2, torch.float32),
        ((1, 1, 20, 100), 70, torch.float32),
        ((0, 2, 5, 5), 2, torch.float32),
        ((2, 1, 1, 1), 8, torch.float32),
    ],
)
def test_window_mean(shape, extent, dtype, last):
    x = rand(*shape, dtype=dtype, last=last)
    exact = x.double().requires_grad_()
    expected = F.avg_pool2d(exact, 2 * extent - 1, extent, extent - 1, count_include_pad=False)
    mean = runtime.load('window_mean.forward')(x, extent)
    assert mean.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert_near(mean, expected.detach())
    grad = torch.randn_like(mean)
    (gradient,) = torch.autograd.grad(expected, exact, grad.double())
    result = runtime.load('window_mean.backward')(grad, x.shape[2:], extent, dtype)
    assert result.dtype == dtype
    assert_near(result, gradient)


def similarity_gate(c, weight, bias, eps=1e-5):
    """The formula of the similarity gate, with a deviation of 0 where torch has none."""
    centred = c - c.mean(2, keepdim=True)
    several = c.numel() > 0 and c.shape[2] > 1
    std = c.std(2, keepdim=True) if several else torch.zeros_like(c)
    weight, bias = weight.view(1, -1, 1), bias.view(1, -1, 1)
    return torch.sigmoid(weight * centred / (std + eps) + bias)


@pytest.mark.parametrize(
    'shape, dtype',
    [
        ((2, 4, 35), torch.float32),
        ((2, 4, 35), torch.float64),
        ((1, 2, 16), torch.bfloat16),
        ((2, 3, 1), torch.float32),
        ((1, 2, 9000), torch.float32),
        ((0, 3, 5), torch.float32),
    ],
)
def test_similarity_gate(shape, dtype, monkeypatch):
    from ge_det.ops.spatial_group_enhance import triton as launchers

    monkeypatch.setattr(launchers, 'BLOCKS_AT_ONCE', 2)  # 9000 positions are 3 blocks.
    # Far from 0, so that sums of squares would cancel.
    c = (10 * rand(*shape) + (300 if dtype == torch.float32 else 0)).to(dtype)
    vector = torch.float64 if dtype == torch.float64 else torch.float32
    weight, bias = (rand(1, shape[1], 1, 1, dtype=vector) for _ in range(2))
    exact = [x.double().requires_grad_() for x in (c, weight, bias)]
    expected = similarity_gate(*exact)
    gate, mean, std = runtime.load('spatial_group_enhance.forward')(c, weight, bias, 1e-5)
    assert gate.dtype == dtype and mean.dtype == std.dtype == vector
    assert_near(gate, expected.detach())
    grad = torch.randn_like(c)
    gradients = torch.autograd.grad(expected, exact, grad.double())
    results = runtime.load('spatial_group_enhance.backward')(
        grad, gate, c, mean, std[..., None], weight, 1e-5
    )
    for result, given, gradient in zip(results, (c, weight, bias), gradients, strict=True):
        assert result.dtype == given.dtype and result.shape == given.shape
        assert_near(result, gradient, dtype)


@pytest.mark.filterwarnings('ignore:overflow encountered in exp')  # Past the end of a row.
def test_similarity_gate_without_variance_has_finite_gradients():
    c, weight, bias = torch.full((1, 2, 4), 3.0, device=DEVICE), *rand(2, 2)
    gate, mean, std = runtime.load('spatial_group_enhance.forward')(c, weight, bias, 1e-5)
    assert_near(gate, bias.double().sigmoid().view(1, 2, 1).expand(1, 2, 4))
    assert not std.any()
    grad = rand(1, 2, 4)
    results = runtime.load('spatial_group_enhance.backward')(grad, gate, c, mean, std, weight, 1e-5)
    before = grad * gate * (1 - gate)  # Of the sigmoid's argument.
    wanted = weight.view(1, 2, 1) / 1e-5 * (before - before.mean(2, keepdim=True))
    for result, exact in zip(results, (wanted, torch.zeros(2), before.sum((0, 2))), strict=True):
        assert_near(result, exact.double().to(DEVICE))


@pytest.mark.parametrize('last', LAST)
def test_offsets_into_large_tensors_need_64_bits(last):
    """Offsets as the kernels compute them, at the end of a tensor that no test could fill."""
    channels, positions = 2048, 2**20
    offset = torch.zeros(3, dtype=torch.int64, device=DEVICE)
    offset_kernel[(3,)](offset, channels, positions, CHANNELS_LAST=last)
    assert (offset + 1).tolist() == [(n + 1) * channels * positions for n in range(3)]


def test_available(monkeypatch):
    assert runtime.available(rand(1))
    assert not runtime.available(rand(1).long())
    monkeypatch.delenv('TRITON_INTERPRET', raising=False)
    assert runtime.available(rand(1)) == (DEVICE == 'cuda')
    assert not runtime.available(torch.zeros(1))
