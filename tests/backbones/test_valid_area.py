"""A picture of a padded batch has the features that it has alone, with every block."""

import pickle

import pytest
import torch
from padded_pictures import (
    GATED,
    NARROW,
    SIZES,
    batch,
    deviation,
    network,
    pair,
    pair_of,
    pictures,
)
from torch import nn

from ge_det import AttentionResNet
from ge_det.blocks import AttentionBlock
from ge_det.registry import MODELS

each_gate = pytest.mark.parametrize('name', GATED)
SE = GATED['se']


@each_gate
@torch.no_grad()
def test_features_of_a_picture_do_not_depend_on_the_batch(name):
    watching, plain = pair_of(name)
    alone = pictures()
    own = [plain(picture) for picture in alone]
    assert deviation(watching(batch(alone, border=9.0), SIZES), own) <= 1e-5
    assert deviation(plain(batch(alone)), own) > 1e-2
    # Where nothing is padded, nothing changes.
    assert all(map(torch.equal, watching(alone[0], SIZES[:1]), own[0]))


@torch.no_grad()
def test_zeros_in_the_border_are_as_good_as_anything():
    watching, plain = pair_of('se')
    alone = pictures()
    assert deviation(watching(batch(alone), SIZES), [plain(one) for one in alone]) <= 1e-5


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(depth=18),
        dict(stem_pool='ceil', deep_stem=True, style='caffe'),
        dict(avg_down=True),
        dict(strides=(1, 2, 1, 2), dilations=(1, 1, 2, 1), num_stages=4),
        dict(depth=18, attention_stages=(False, True, False, True)),
    ],
    ids=['basic', 'ceil-deep-caffe', 'avg-down', 'dilated', 'some-stages'],
)
def test_sizes_follow_every_kind_of_trunk(kwargs):
    for attention in (SE, GATED['ge-theta-e8']):
        watching, plain = pair(attention, **kwargs)
        alone = pictures()
        with torch.no_grad():
            own = [plain(picture) for picture in alone]
            assert deviation(watching(batch(alone), SIZES), own) <= 1e-5


def run(backbone, x):
    x = x.clone().requires_grad_()
    maps = backbone(x, SIZES)
    generator = torch.Generator().manual_seed(5)
    total = sum(
        (one * torch.randn(one.shape, generator=generator, dtype=one.dtype)).sum() for one in maps
    )
    backbone.zero_grad()
    total.backward()
    return [*maps, x.grad, *(p.grad for p in backbone.parameters() if p.grad is not None)]


def assert_alike(one, other, x):
    for actual, expected in zip(run(one, x), run(other, x), strict=True):
        assert (actual - expected).abs().max() <= 1e-10 * expected.abs().max().clamp(min=1)
    for key, value in one.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[key])


def twin(backbone, **changes):
    other = pickle.loads(pickle.dumps(backbone))
    for name, value in changes.items():
        setattr(other, name, value)
    return other


@each_gate
def test_fused_is_what_the_modules_give(name):
    """In evaluation and in training."""
    backbone = pair(GATED[name], num_stages=1, gate_norm_eval=False)[0].double()
    x = batch(pictures(torch.float64))
    for training in (False, True):
        backbone.train(training)
        assert any(unit.runs == 'fused' for unit in backbone.execution_plan())
        assert_alike(backbone, twin(backbone, fused=False), x)


def gradients_of(backbone, maps, inputs):
    """Of inputs and weights, with another factor at each position."""
    generator = torch.Generator().manual_seed(5)
    factors = [torch.randn(one.shape, generator=generator, dtype=one.dtype) for one in maps]
    total = sum((one * factor).sum() for one, factor in zip(maps, factors, strict=True))
    weights = [p for p in backbone.parameters() if p.requires_grad]
    grads = torch.autograd.grad(total, [*inputs, *weights])
    return grads[: len(inputs)], grads[len(inputs) :]


@each_gate
def test_gradients_are_those_of_the_pictures_alone(name):
    """Of a picture of one pixel, too."""
    sizes = [(1, 1), *SIZES, (5, 120)]
    watching, plain = (one.double() for one in pair(GATED[name], num_stages=1))
    alone = [torch.randn(1, 3, *size, dtype=torch.float64, requires_grad=True) for size in sizes]
    x = batch([one.detach() for one in alone], border=9.0).requires_grad_()
    own, maps = [plain(one)[0] for one in alone], watching(x, sizes)[0]
    cuts = [maps[n : n + 1, :, : m.shape[2], : m.shape[3]] for n, m in enumerate(own)]
    expected, weights = gradients_of(plain, own, alone)
    (actual,), own_weights = gradients_of(watching, cuts, [x])
    inputs = [one[None, :, :h, :w] for one, (h, w) in zip(actual, sizes, strict=True)]
    for one, other in zip([*inputs, *own_weights], [*expected, *weights], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize('fused', [True, False])
@pytest.mark.filterwarnings('ignore:valid_area')
def test_checkpointed_units_see_the_sizes_of_their_own_forward(depth, fused):
    kwargs = dict(depth=depth, num_stages=2, valid_area=True, fused=fused)
    kept = network(GATED['ge-theta-e8'], **kwargs).double().train()
    saving = network(GATED['ge-theta-e8'], with_cp=True, **kwargs).double().train()
    x = batch(pictures(torch.float64))
    gradients = []
    for backbone in (kept, saving):
        first, second = x.clone().requires_grad_(), x.clone().requires_grad_()
        maps = [*backbone(first, SIZES), *backbone(second, SIZES[::-1][:1] + [(96, 120)])]
        sum(one.square().sum() for one in maps).backward()
        gradients.append([first.grad, second.grad, *(p.grad for p in backbone.parameters())])
    for actual, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(actual, expected, atol=1e-8, rtol=1e-8)


def test_channels_last_and_half_precision_give_the_same():
    for name in ('se', 'sge', 'ge-theta-minus-e8', 'ge-theta-plus-e8'):
        watching, plain = pair_of(name)
        alone = pictures()
        x = batch(alone)
        with torch.no_grad():
            expected = watching(x, SIZES)
            layout = twin(watching).to(memory_format=torch.channels_last)
            maps = layout(x.contiguous(memory_format=torch.channels_last), SIZES)
            assert deviation(maps, [plain(one) for one in alone]) <= 1e-5
            with torch.autocast('cpu', torch.bfloat16):
                halves = watching(x, SIZES)
        for half, full in zip(halves, expected, strict=True):
            assert (half.float() - full).norm() <= 0.05 * full.norm()


class OnlyGate(AttentionBlock):
    """A user's block that says nothing but its gate."""

    def gate(self, x):
        return torch.sigmoid(x.mean((2, 3), keepdim=True))


class OnlyCoarse(AttentionBlock):
    """One with a gate for each row, of the middle of the picture."""

    def coarse_gate(self, x):
        return torch.sigmoid(x.mean((1, 3), keepdim=True) - x.amax((1, 2, 3), keepdim=True))


class Patched(MODELS.get('ge_det.GatherExcite')):
    """One that changed how the gate follows, but not for several pictures together."""

    def gate_from_wide(self, y, scale=None, shift=None):
        return 1 - super().gate_from_wide(y, scale, shift)

    def gate_from_narrow(self, u, weight, scale, shift):
        return 1 - super().gate_from_narrow(u, weight, scale, shift)

    def coarse_gate(self, x):
        return self.gate_from_wide(x).to(x.dtype)


@pytest.mark.parametrize('kind', [OnlyGate, OnlyCoarse, Patched])
def test_blocks_of_users(kind):
    MODELS.register_module(name=kind.__name__, module=kind, force=True)
    try:
        watching, plain = pair(dict(type=f'ge_det.{kind.__name__}'), num_stages=2)
    finally:
        MODELS.module_dict.pop(kind.__name__)
    alone = pictures()
    with torch.no_grad():
        own = [plain(picture) for picture in alone]
        assert deviation(watching(batch(alone), SIZES), own) <= 1e-5
        assert deviation(plain(batch(alone)), own) > 1e-3


@pytest.mark.parametrize(
    'sizes',
    [
        SIZES[:1],
        [(97, 60), (64, 96)],
        [(75, 60), (0, 96)],
        [(7.5, 60), (64, 96)],
        [(float('inf'), 60), (64, 96)],
        [(True, 60), (64, 96)],
        5,
    ],
)
def test_sizes_that_do_not_fit(sizes):
    backbone = network(SE, depth=18, num_stages=1, valid_area=True)
    with pytest.raises(ValueError, match=r'valid_sizes=.* pictures of a batch of 96x120') as error:
        backbone(torch.zeros(2, 3, 96, 120), sizes)
    assert '\n' not in str(error.value)


def test_sizes_of_a_generator():
    backbone = network(SE, depth=18, num_stages=1, valid_area=True)
    x = batch(pictures())
    sizes = (iter(one) for one in SIZES)
    assert torch.equal(backbone(x, sizes)[0], backbone(x, SIZES)[0])
    with pytest.raises(ValueError, match=r'7\.5.* is not allowed'):
        backbone(x, (one for one in [(7.5, 60), (64, 96)]))


def test_sizes_for_a_network_that_does_not_look():
    with pytest.raises(ValueError, match='valid_area=True'):
        network(SE, depth=18, num_stages=1)(torch.zeros(1, 3, 32, 32), [(32, 16)])


def test_a_plain_network_does_not_change():
    watching, plain = pair(None, depth=18)
    x = batch(pictures())
    for out, expected in zip(watching(x, SIZES), plain(x), strict=True):
        assert torch.equal(out, expected)


@pytest.mark.filterwarnings('error')
def test_without_sizes_the_whole_map_and_one_warning():
    plain = network(SE, depth=18, num_stages=1)
    watching = AttentionResNet(18, SE, base_channels=8, num_stages=1, valid_area=True).eval()
    watching.load_state_dict(plain.state_dict())
    x = batch(pictures())
    with pytest.warns(UserWarning, match='ValidAreaPreprocessor'):
        maps = watching(x)
    assert torch.equal(maps[0], plain(x)[0])
    watching(x)  # silent


def test_a_traced_network_sees_the_whole_map():
    watching, plain = pair(SE, depth=18, num_stages=1)
    x = batch(pictures())
    with pytest.warns(UserWarning, match='whole map'):
        traced = torch.jit.trace(watching, x, check_trace=False)
    torch.testing.assert_close(traced(x)[0], plain(x)[0])
    with pytest.raises(ValueError, match='no own sizes'):
        torch.jit.trace(lambda x: watching(x, SIZES), x)


def test_layers_that_were_replaced():
    """Also behind torch.compile, which has seen the others before."""
    watching, plain = pair(SE, num_stages=2, avg_down=True)
    alone, x = pictures(), batch(pictures(), border=9.0)
    compiled = torch.compile(watching, backend='eager')
    with torch.no_grad():
        compiled(x, SIZES)
        for backbone in (watching, plain):
            torch.manual_seed(3)
            backbone.conv1 = nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False)
            backbone.layer1[0].conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
            backbone.layer2[0].downsample[0] = nn.AvgPool2d(2, 2, ceil_mode=True)
            fresh = AttentionResNet(attention=SE, num_stages=2, **NARROW).eval().layer2[1]
            backbone.layer2[1] = fresh  # A whole unit.
        own = [plain(picture) for picture in alone]
        assert deviation(compiled(x, SIZES), own) <= 1e-5
        assert deviation(watching(x, SIZES), own) <= 1e-5


def test_hooks_stay_as_they_are():
    backbone = pair(SE, num_stages=2, avg_down=True)[0]

    def hooks():
        layers = backbone.modules()
        return sum(len(one._forward_pre_hooks) + len(one._forward_hooks) for one in layers)

    before = hooks()
    backbone(batch(pictures()), SIZES)
    assert hooks() == before > 0


def test_a_layer_whose_stride_nobody_knows():
    backbone = network(SE, depth=18, num_stages=1, valid_area=True)
    backbone.maxpool = nn.AdaptiveAvgPool2d((7, 9))
    with pytest.raises(ValueError, match='map of 7x9'):
        backbone(batch(pictures()), SIZES)
