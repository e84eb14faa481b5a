"""Blocks that a user writes: with as much of the contract as they like, never wrong."""

import copy
import itertools

import pytest
import torch
from mmengine.registry import MODELS as ROOT
from mmengine.registry import Registry
from random_networks import randomise
from torch import nn

import ge_det
from ge_det import AttentionResNet
from ge_det.blocks import AttentionBlock
from ge_det.blocks.averaged import AveragedGate
from ge_det.ops.expansion import affine, expand_average, project, pull_back
from ge_det.ops.squeeze_excite import squeeze
from ge_det.registry import MODELS as OURS

TOYS = Registry('model', parent=ROOT, scope='toys', locations=[])


class Toy(AttentionBlock):
    """Weights that the others share."""

    _abbr_ = 'toy'

    def __init__(self, in_channels):
        super().__init__(in_channels)
        self.slope = nn.Parameter(torch.linspace(-1, 2, in_channels).view(1, -1, 1, 1))


@TOYS.register_module()
class GateOnly(Toy):
    """Only the gate: as in the first lines of a tutorial."""

    def gate(self, x):
        return torch.sigmoid(self.slope * x)


@TOYS.register_module()
class CoarseOnly(Toy):
    """A gate of one column for each row."""

    def coarse_gate(self, x):
        return torch.sigmoid(self.slope * x.mean(3, keepdim=True))


@TOYS.register_module()
class Wide(CoarseOnly):
    """The same from the wide map, with the affine after the mean."""

    def gate_from_wide(self, y, scale=None, shift=None):
        return torch.sigmoid(self.slope * affine(y.mean(3, keepdim=True), scale, shift))


@TOYS.register_module()
class Averaged(Toy, AveragedGate):
    """Means over the rows."""

    def averages(self, x):
        return (x.mean(2, keepdim=True), squeeze(x))

    def gate_from(self, averages):
        columns, mean = averages
        return torch.sigmoid(self.slope * (columns - 2 * mean))


@TOYS.register_module()
class Projected(Toy):
    """The product of each position with the mean, without SGE's normalisation."""

    def coarse_gate(self, x):
        return torch.sigmoid((x * squeeze(x) * self.slope).sum(1, keepdim=True))

    def gate_from_wide(self, y, scale=None, shift=None):
        return self.coarse_gate(affine(y, scale, shift))

    def gate_from_narrow(self, u, weight, scale, shift):
        mean = expand_average(squeeze(u), weight, scale, shift)
        vectors = (mean * self.slope).flatten(1)
        pulled = pull_back(vectors[:, None], weight, scale)
        return torch.sigmoid(project(u, pulled) + (vectors * shift).sum(1)[:, None, None, None])


@TOYS.register_module()
class OtherGate(Wide):
    """Changes the gate of a block that fuses, and nothing else."""

    def coarse_gate(self, x):
        return 1 - super().coarse_gate(x)


@TOYS.register_module()
class OtherForward(ge_det.SqueezeExcite):
    """Adds something after the gate."""

    def forward(self, x):
        return super().forward(x) + 1


@TOYS.register_module()
class OtherWide(Averaged):
    """Another gate in all that it overrides, but an inherited one from the narrow map."""

    def coarse_gate(self, x):
        return 1 - super().coarse_gate(x)

    def gate_from_wide(self, y, scale=None, shift=None):
        return 1 - super().gate_from_wide(y, scale, shift)


@TOYS.register_module()
class OtherAverages(ge_det.SqueezeExcite):
    """A subclass that changes what all of the contract follows from: means of the upper half."""

    def averages(self, x):
        return (squeeze(x[:, :, : x.shape[2] // 2 + 1]),)


@TOYS.register_module()
class OtherNarrow(ge_det.SqueezeExcite):
    """Changes one of the ways to the gate."""

    def gate_from_narrow(self, u, weight, scale, shift):
        return 1 - super().gate_from_narrow(u, weight, scale, shift)


@TOYS.register_module()
class OtherCall(ge_det.SqueezeExcite):
    """Does something around the whole module."""

    def __call__(self, x):
        return super().__call__(x) / 2


@TOYS.register_module()
class Late(ge_det.SqueezeExcite):
    """Gets its own forward after it was defined."""


class LateChild(Late):
    """Inherits it."""


Late.forward = lambda self, x: x + ge_det.SqueezeExcite.forward(self, x)
TOYS.register_module(module=LateChild)


class Silent:
    """A mixin that keeps to itself that there are subclasses."""

    def __init_subclass__(cls):
        pass


@TOYS.register_module()
class Mixed(Silent, ge_det.SqueezeExcite):
    """Another forward, with that mixin."""

    def forward(self, x):
        return super().forward(x) + 1


@TOYS.register_module()
class Maxima(ge_det.SqueezeExcite):
    """SE's squeeze by maxima, which no convolution commutes with."""

    def averages(self, x):
        return (x.amax((2, 3), keepdim=True),)


@TOYS.register_module()
class WeightedAverages(Averaged):
    """Averages that have a weight for each channel of the wide map."""

    def averages(self, x):
        columns, mean = super().averages(x)
        return columns, mean * self.slope


@TOYS.register_module()
class Reluctant(Averaged):
    """Has a reason of its own."""

    unfused_because = 'it counts its calls'


UNFUSED = {
    OtherNarrow: 'OtherNarrow overrides gate_from_narrow, but not coarse_gate with it',
    OtherCall: 'OtherCall overrides __call__, but not gate_from_wide with it',
    Late: 'Late overrides forward, but not gate_from_wide with it',
    LateChild: 'LateChild overrides forward, but not gate_from_wide with it',
    Mixed: 'Mixed overrides forward, but not gate_from_wide with it',
    Maxima: 'its averages are no means of single channels',
    WeightedAverages: 'its averages could not be tried',
    Reluctant: 'it counts its calls',
    GateOnly: 'GateOnly does not define gate_from_wide',
    CoarseOnly: 'CoarseOnly does not define gate_from_wide',
    OtherGate: 'OtherGate overrides coarse_gate, but not gate_from_wide with it',
    OtherForward: 'OtherForward overrides forward, but not gate_from_wide with it',
    OtherWide: 'OtherWide overrides coarse_gate, but not gate_from_narrow with it',
}
FUSED = {
    Wide: 'its output',
    Averaged: 'averages of its input',
    Projected: 'its input, where that is enough',
    OtherAverages: 'averages of its input',
}


def networks(block, depth):
    """The same random network, from a config with the user's scope, fused and not."""
    cfg = dict(
        type='ge_det.AttentionResNet',
        depth=depth,
        base_channels=16,
        attention=dict(type=f'toys.{block.__name__}'),
        norm_eval=False,
    )
    fused = randomise(OURS.build(cfg)).double()
    modules = copy.deepcopy(fused)
    modules.fused = False
    return fused, modules


@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize('block', [*UNFUSED, *FUSED], ids=lambda block: block.__name__)
def test_a_block_of_a_user_runs_as_it_says_and_right(block, depth):
    fused, modules = networks(block, depth)
    for plan in fused.execution_plan():
        assert plan.runs == ('modules' if block in UNFUSED else 'fused')
        if depth == 50 or block in UNFUSED:
            assert ({**UNFUSED, **FUSED}[block]) in plan.why
    for training, size in itertools.product((True, False), ((64, 98), (33, 65))):
        x = torch.randn(2, 3, *size, dtype=torch.float64)
        results = []
        for network in (fused, modules):
            network.train(training)
            network.zero_grad()
            outputs = network(x)
            sum((out * out.detach().cos()).sum() for out in outputs).backward()
            grads = [p.grad for p in network.parameters()]
            results.append([*outputs, *(g for g in grads if g is not None)])
        for actual, expected in zip(*results, strict=True):
            scale = expected.abs().max().item()
            torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9 * (1 + scale))


def test_a_block_of_a_user_stands_in_mmdets_plugins():
    from mmdet.models import ResNet

    plugins = [dict(cfg=dict(type='toys.Averaged'), position='after_conv3')]
    plain = ResNet(50, base_channels=16, plugins=plugins)
    ours = AttentionResNet(50, dict(type=Averaged), base_channels=16)
    assert list(plain.state_dict()) == list(ours.state_dict())


def test_every_block_of_ours_keeps_the_whole_contract():
    from ge_det.catalogue import CLASSES

    assert len(CLASSES) >= 5
    for block in CLASSES.values():
        assert block.contract_gap is None, block


@pytest.mark.parametrize('block', FUSED, ids=lambda block: block.__name__)
def test_half_precision_and_channels_last(block):
    fused, modules = networks(block, 50)
    x = torch.randn(2, 3, 64, 98)
    with torch.no_grad():
        exact = modules.eval()(x.double())
        errors = []
        for network in (fused.eval().bfloat16(), modules.bfloat16()):
            halves = network(x.bfloat16().contiguous(memory_format=torch.channels_last))
            assert all(half.dtype == torch.bfloat16 for half in halves)
            pairs = zip(halves, exact, strict=True)
            errors.append([(half.double() - full).norm() / full.norm() for half, full in pairs])
    for error, error_of_modules in zip(*errors, strict=True):
        assert error < 2 * error_of_modules + 0.01


@pytest.mark.parametrize(
    'gate',
    [lambda x: torch.ones(2, 16), lambda x: x[:1, :3].sigmoid(), lambda x: torch.tensor(0.5)],
    ids=['no-map', 'three-groups', 'number'],
)
def test_what_is_no_gate_is_refused_with_the_name_of_the_method(gate):
    class Odd(AttentionBlock):
        def coarse_gate(self, x):
            return gate(x)

        def gate_from_wide(self, y, scale=None, shift=None):
            return gate(y)

    unit = AttentionResNet(18, dict(type=Odd, postfix=''), base_channels=16).layer1[0]
    x = torch.randn(2, 16, 5, 4)
    for fused, method in ((True, 'gate_from_wide'), (False, 'coarse_gate')):
        unit.fused = fused
        with pytest.raises(ValueError, match=f'Odd.{method} returned .*: a gate is .N, G, h, w.'):
            unit(x)


def test_one_gate_for_all_images():
    class Same(AttentionBlock):
        def coarse_gate(self, x):
            return torch.full_like(x[:1, :1, :1, :1], 0.25)

    x = torch.randn(3, 8, 5, 4)
    torch.testing.assert_close(Same(8)(x), x / 4)


def test_a_block_without_any_gate_is_refused_when_it_is_made():
    class Empty(AttentionBlock):
        pass

    with pytest.raises(TypeError, match='Empty must define coarse_gate or gate'):
        Empty(8)
