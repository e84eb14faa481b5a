"""What the papers and the authors' files fix: initial values, sizes, names, special cases."""

import math

import pytest
import torch
from block_cases import BLOCKS, CHANNELS
from torch import nn

from ge_det import (
    GatherExcite,
    ResolutionGuidedSE,
    SpatialGroupEnhance,
    SpatialPyramidSE,
    SqueezeExcite,
)


def test_sge_starts_as_a_constant_factor():
    x = torch.randn(2, 128, 5, 7)
    torch.testing.assert_close(SpatialGroupEnhance(128)(x), x * 0.7310586)


def test_sge_on_a_single_position_is_the_constant_gate_of_its_bias():
    block = SpatialGroupEnhance(64)
    nn.init.normal_(block.weight)
    nn.init.normal_(block.bias)
    x = torch.randn(2, 64, 1, 1)
    torch.testing.assert_close(block(x), x * torch.sigmoid(block.bias))


def test_sge_on_a_constant_map_has_finite_gradients():
    block = SpatialGroupEnhance(64)
    x = torch.ones(2, 64, 4, 4, requires_grad=True)
    block(x).square().sum().backward()
    assert x.grad.isfinite().all()


def test_sge_uses_the_unbiased_deviation_with_eps_outside_the_root():
    block = SpatialGroupEnhance(1, groups=1).double()
    nn.init.ones_(block.weight)
    x = torch.tensor([1.0, 3.0]).double().view(1, 1, 1, 2)
    # mean vector 2, similarities 2 and 6, deviation sqrt(8) with N - 1
    normalised = torch.tensor([-2.0, 2.0]).double() / (math.sqrt(8) + 1e-5)
    torch.testing.assert_close(block.gate(x).flatten(), torch.sigmoid(normalised + 1))


def test_theta_minus_halves_a_zero_mean_input():
    x = torch.randn(2, 16, 6, 5)
    x = x - x.mean((2, 3), keepdim=True)
    torch.testing.assert_close(GatherExcite(16)(x), x * 0.5)


def test_theta_minus_has_no_parameters():
    assert not list(GatherExcite(16, extent=8).state_dict())


@pytest.mark.parametrize('extent', [2, 4, 8])
@pytest.mark.parametrize('variant', ['theta_minus', 'theta'])
def test_extent_gathers_to_the_ceiling(variant, extent):
    block = GatherExcite(4, variant=variant, extent=extent)
    for size in (1, 7, 8, 9, 30, 57):
        gathered = block.coarse_gate(torch.randn(2, 4, size, size + 3))
        assert gathered.shape[2:] == (math.ceil(size / extent), math.ceil((size + 3) / extent))


def test_global_theta_with_a_mean_kernel_equals_theta_minus():
    theta = GatherExcite(8, variant='theta', grid=(4, 6)).eval()
    nn.init.constant_(theta.gather[0].conv.weight, 1 / 24)
    theta.gather[0].bn.eps = 0.0
    x = torch.randn(2, 8, 4, 6)
    torch.testing.assert_close(theta(x), GatherExcite(8)(x))


def test_global_theta_pools_other_sizes_to_its_grid():
    theta = GatherExcite(8, variant='theta', grid=(4, 6)).eval()
    x = torch.randn(2, 8, 4, 6)
    twice = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(theta.gate(twice), theta.gate(x))


def test_pyramid_with_only_the_mean_equals_se_but_for_the_relu():
    pyramid = SpatialPyramidSE(16, ratio=4).eval()
    pyramid.bn.eps = 0.0
    for level, conv in zip(pyramid.levels, pyramid.fuse, strict=True):
        nn.init.constant_(conv.weight, float(level == 1))
    se = SqueezeExcite(16, ratio=4)
    for mine, theirs in ((se.conv1.conv, pyramid.excite.down), (se.conv2.conv, pyramid.excite.up)):
        mine.load_state_dict(theirs.state_dict())
    x = torch.rand(2, 16, 9, 7)  # non-negative, where the extra ReLU does nothing
    torch.testing.assert_close(pyramid(x), se(x))


def test_last_stage_of_rg_se_adds_nothing_to_se():
    count = sum(p.numel() for p in ResolutionGuidedSE(64, grid=1).parameters())
    assert count == sum(p.numel() for p in SqueezeExcite(64).parameters())


def test_rg_se_grid_equals_the_published_windows_at_224_pixels():
    block = ResolutionGuidedSE(16, grid=8).eval()
    x = torch.randn(1, 16, 56, 56)
    windows = block.fuse(nn.functional.avg_pool2d(x, 7))
    expected = torch.sigmoid(block.excite(windows.relu()))
    torch.testing.assert_close(block.gate(x), expected)


@pytest.mark.parametrize(
    ('block', 'count'),
    [
        (lambda c: SqueezeExcite(c), lambda c: 2 * c * c // 16 + c + c // 16),
        (lambda c: SqueezeExcite(c, bias=False), lambda c: 2 * c * c // 16),
        (lambda c: SpatialGroupEnhance(c), lambda c: 128),
        (lambda c: GatherExcite(c, variant='theta', extent=2), lambda c: 11 * c),
        (lambda c: GatherExcite(c, variant='theta', extent=8), lambda c: 33 * c),
        (lambda c: GatherExcite(c, variant='theta', grid=(14, 14)), lambda c: c * 196 + 2 * c),
        (
            lambda c: GatherExcite(c, variant='theta_plus', extent=4),
            lambda c: 22 * c + 2 * c * c // 16 + c + c // 16,
        ),
        (lambda c: SpatialPyramidSE(c), lambda c: 26 * c + 2 * c * c // 16 + c + c // 16),
        (
            lambda c: ResolutionGuidedSE(c, grid=4),
            lambda c: 18 * c + 2 * c * c // 16 + c + c // 16,
        ),
    ],
)
def test_parameter_formulas(block, count):
    for channels in (256, 1024):
        assert sum(p.numel() for p in block(channels).parameters()) == count(channels)


def test_checkpoint_names():
    assert {k: tuple(v.shape) for k, v in SqueezeExcite(256).state_dict().items()} == {
        'conv1.conv.weight': (16, 256, 1, 1),
        'conv1.conv.bias': (16,),
        'conv2.conv.weight': (256, 16, 1, 1),
        'conv2.conv.bias': (256,),
    }
    assert {k: tuple(v.shape) for k, v in SpatialGroupEnhance(256).state_dict().items()} == {
        'weight': (1, 64, 1, 1),
        'bias': (1, 64, 1, 1),
    }
    abbreviations = [
        block._abbr_
        for block in (
            GatherExcite,
            SqueezeExcite,
            SpatialGroupEnhance,
            SpatialPyramidSE,
            ResolutionGuidedSE,
        )
    ]
    assert abbreviations == ['ge', 'se_layer', 'sge', 'sp_se', 'rg_se']


def test_ge_initialisation_is_the_authors():
    block = GatherExcite(256, variant='theta_plus', grid=(56, 56))
    kernel = block.gather[0].conv.weight
    assert kernel.std().item() == pytest.approx(math.sqrt(2 / (56 * 56)), rel=0.01)
    assert block.gather[0].bn.momentum == 0.05
    assert block.excite.down.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert block.excite.up.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not block.excite.down.bias.any()
    assert not block.excite.up.bias.any()


def test_se_initialisation_is_kaiming_by_fan_out():
    block = SqueezeExcite(1024)
    block.init_weights()
    assert block.conv1.conv.weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.05)
    assert block.conv2.conv.weight.std().item() == pytest.approx(math.sqrt(2 / 1024), rel=0.05)
    assert not block.conv1.conv.bias.any()
    assert not block.conv2.conv.bias.any()


def test_rg_se_initialisation_has_default_kernels_and_zero_biases():
    block = ResolutionGuidedSE(256, grid=8)
    assert block.fuse.conv.weight.abs().max().item() == pytest.approx(1 / 8, rel=0.05)
    assert block.excite.down.weight.abs().max().item() == pytest.approx(1 / 16, rel=0.05)
    assert not block.excite.down.bias.any()
    assert not block.excite.up.bias.any()


def test_two_stage_initialisation_has_zero_biases_and_default_kernels():
    block = SpatialPyramidSE(256)
    for level, conv in zip(block.levels, block.fuse, strict=True):
        assert not conv.bias.any()
        bound = 1 / level
        assert conv.weight.abs().max().item() == pytest.approx(bound, rel=0.05)
    assert not block.excite.up.bias.any()


@pytest.mark.parametrize('name', BLOCKS)
def test_init_weights_restores_a_fresh_block(name):
    block = BLOCKS[name](CHANNELS)
    for tensor in block.state_dict().values():
        tensor.fill_(7)
    block.init_weights()
    assert all(not (tensor == 7).any() for tensor in block.state_dict().values())


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: SqueezeExcite(0), 'in_channels=0 .* positive integer'),
        (lambda: SqueezeExcite(16.0), r'in_channels=16.0 .* positive integer'),
        (lambda: SqueezeExcite(8), 'ratio=16 .* in_channels=8'),
        (lambda: SqueezeExcite(64, ratio=0), 'ratio=0 .* positive integer'),
        (lambda: SpatialGroupEnhance(96), 'groups=64 .* in_channels=96: .* divisible'),
        (lambda: SpatialGroupEnhance(64, groups=True), 'groups=True .* positive integer'),
        (lambda: GatherExcite(64, extent=6), "extent=6 .* 'global', 2, 4, 8"),
        (lambda: GatherExcite(64, extent='8'), "extent='8' .* 'global', 2, 4, 8"),
        (lambda: GatherExcite(64, extent=8.0), r'extent=8.0 .*'),
        (lambda: GatherExcite(64, variant='theta+'), "variant='theta\\+' .* 'theta_plus'"),
        (lambda: GatherExcite(64, variant='theta'), r'grid=None .* \(height, width\)'),
        (lambda: GatherExcite(64, variant='theta', grid=56), r'grid=56 .* \(height, width\)'),
        (lambda: GatherExcite(8, variant='theta_plus', extent=2), 'ratio=16 .* in_channels=8'),
        (lambda: SpatialPyramidSE(64, levels=()), r'levels=\(\) .*'),
        (lambda: SpatialPyramidSE(64, levels=(1, 0)), r'levels=\(1, 0\) .* positive integers'),
        (lambda: SpatialPyramidSE(64, levels=([1], 2)), r'levels=\(\[1\], 2\) .*'),
        (lambda: SqueezeExcite(64, bias='no'), "bias='no' .* True, False"),
        (lambda: GatherExcite(64, ratio=0), 'ratio=0 .* positive integer'),
        (lambda: GatherExcite(64, variant='theta', grid=(True, True)), r'grid=\(True, True\)'),
        (lambda: GatherExcite(64, grid='nonsense'), "grid='nonsense' is not allowed: "),
        (lambda: GatherExcite(64, extent=2, grid=-1), 'grid=-1 is not allowed: '),
        (lambda: SpatialPyramidSE(64, levels=(True, 2)), r'levels=\(True, 2\) .*'),
        (lambda: SpatialPyramidSE(64, levels=4), 'levels=4 .*'),
        (lambda: ResolutionGuidedSE(64, grid=3), 'grid=3 .* 8, 4, 2, 1'),
    ],
)
def test_wrong_arguments_name_themselves(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize('name', BLOCKS)
@pytest.mark.parametrize('shape', [(2, CHANNELS + 1, 4, 4), (CHANNELS, 4, 4)], ids=str)
def test_wrong_input_shape_names_itself(name, shape):
    with pytest.raises(ValueError, match=r'was built for inputs \(N, 8, H, W\), got'):
        BLOCKS[name](CHANNELS)(torch.randn(shape))
