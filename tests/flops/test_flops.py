"""Costs against formulas written by hand, MMEngine's own counter, and what is published."""

from __future__ import annotations

import functools

import pytest
import torch
from attention_cases import ATTENTION
from mmdet.models.backbones import ResNeXt
from mmengine.analysis import FlopAnalyzer, parameter_count
from torch import Tensor, nn

import ge_det
from ge_det.flops.count import CONVENTIONS, Parameters, blocks_in, count_cost
from lab.cost.comparison import PooledResNet

# Channels, hidden channels, groups; a map no stride divides, and its number of positions.
C, HIDDEN, G = 32, 8, 4
SIZE = (9, 13)
M = 9 * 13
GE = functools.partial(ge_det.GatherExcite, C, ratio=4)
EXCITE = 2 * C * HIDDEN + HIDDEN  # two layers and the ReLU between them
APPLY = C * M  # the product with the features
NORM = 2 * C
# Elements that windows of 15 around every 8th position read: [0, 8) and [1, 9) of 9 rows, [0, 8)
# and [1, 13) of 13 columns.
WINDOWS = (8 + 8) * (8 + 12)
# Positions of the maps after one, two and three strided convolutions.
ONE, TWO, THREE = 5 * 7, 3 * 4, 2 * 2
UPSAMPLE_SIGMOID_APPLY = 3 * C * M

BY_HAND = {
    'se': (
        ge_det.SqueezeExcite(C, ratio=4),
        C * M + EXCITE + C + APPLY,
    ),
    'ge-theta-minus': (GE(), C * M + C + APPLY),
    'ge-theta-minus-e8': (GE(extent=8), C * WINDOWS + UPSAMPLE_SIGMOID_APPLY),
    'ge-theta': (
        GE(variant='theta', grid=(3, 4)),
        C * M + C * 12 + NORM + C + APPLY,
    ),
    'ge-theta at its own size': (GE(variant='theta', grid=SIZE), C * M + NORM + C + APPLY),
    'ge-theta-e8': (
        GE(variant='theta', extent=8),
        (9 + 2) * C * (ONE + TWO + THREE) + C * (ONE + TWO) + UPSAMPLE_SIGMOID_APPLY,
    ),
    'ge-theta-plus-e2': (
        GE(variant='theta_plus', extent=2),
        (9 + 2 + 1) * C * ONE + EXCITE * ONE + UPSAMPLE_SIGMOID_APPLY,
    ),
    # Group means, products with them and their sums; mean, difference, deviation, quotient, gamma,
    # beta and sigmoid of the similarities, and the epsilon of each group.
    'sge': (
        ge_det.SpatialGroupEnhance(C, groups=G),
        3 * C * M + (1 + 1 + 3 + 1 + 1 + 1 + 1) * G * M + G + APPLY,
    ),
    'sp-se': (
        ge_det.SpatialPyramidSE(C, ratio=4),
        3 * C * M + C * (1 + 4 + 16) + 2 * C + NORM + C + EXCITE + C + APPLY,
    ),
    'rg-se': (
        ge_det.ResolutionGuidedSE(C, grid=4, ratio=4),
        C * M + C * 16 + NORM + C + EXCITE + C + APPLY,
    ),
    'rg-se, last stage': (
        ge_det.ResolutionGuidedSE(C, grid=1, ratio=4),
        C * M + C + EXCITE + C + APPLY,
    ),
}

# As counted in the authors' files.
PLAIN = {50: 25_557_032, 101: 44_549_160}
ADDED = {
    'none': (0, 0),
    'se': (2_530_992, 4_777_712),
    'se-no-bias': (2_514_944, 4_743_168),
    'ge-theta-minus': (0, 0),
    'ge-theta-minus-e8': (0, 0),
    'ge-theta': (5_549_568, 8_996_352),
    'ge-theta-e2': (166_144, 357_632),
    'ge-theta-e4': (332_288, 715_264),
    'ge-theta-e8': (498_432, 1_072_896),
    'ge-theta-plus': (8_080_560, 13_774_064),
    'ge-theta-plus-e8': (3_029_424, 5_850_608),
    'sge': (2_048, 4_224),
    'sp-se': (2_923_696, 5_623_024),
    'rg-se': (2_655_408, 5_006_576),
}


def narrow(attention: str, **options: object) -> ge_det.AttentionResNet:
    """A ResNet-50 an eighth as wide."""
    block = ATTENTION[attention]
    if attention == 'sge':
        block = dict(block, groups=8)
    return ge_det.AttentionResNet(50, attention=block, base_channels=8, **options)


@pytest.mark.parametrize('name', BY_HAND)
def test_a_block_costs_what_its_formula_does(name: str) -> None:
    block, expected = BY_HAND[name]
    cost = count_cost(block, torch.zeros(1, C, *SIZE))
    assert cost.gate_flops() == expected
    assert cost.flops() == expected
    assert not cost.without_rule['']


def test_two_images_cost_twice_as_much() -> None:
    block = ge_det.SqueezeExcite(C)
    one, two = (count_cost(block, torch.zeros(n, C, 5, 5)).flops() for n in (1, 2))
    assert two == 2 * one


@pytest.mark.parametrize('attention', ['none', 'sge', 'ge-theta-e8'])
def test_the_trunk_costs_what_mmengine_counts(attention: str) -> None:
    image = torch.zeros(1, 3, 64, 96)
    plain = FlopAnalyzer(narrow('none').eval(), (image,))
    plain.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    network = narrow(attention)
    cost = count_cost(network, image)
    assert cost.flops() - cost.gate_flops() == plain.total()
    assert cost.parameters[''].total == parameter_count(network)['']
    # Stage by stage as well, and every operation of the trunk where that is asked for.
    stages = [f'layer{number}' for number in (1, 2, 3, 4)]
    for stage in stages:
        trunk = cost.flops(stage) - cost.gate_flops(stage)
        assert trunk == plain.total(stage)
    assert sum(map(cost.gate_flops, stages)) == cost.gate_flops()
    assert cost.flops(trunk='all') > cost.flops(trunk='layers') > cost.flops(trunk='pooling')
    assert not cost.without_rule['']


@pytest.mark.parametrize('depth', [50, 101])
@pytest.mark.parametrize('attention', ATTENTION)
def test_parameters_are_the_authors(attention: str, depth: int) -> None:
    with torch.device('meta'):
        backbone = ge_det.AttentionResNet(depth, attention=ATTENTION[attention])
        network = PooledResNet(backbone, has_classifier=True)
    added = ADDED[attention][depth == 101]
    assert Parameters.of(network).total == PLAIN[depth] + added
    gates = blocks_in(network)
    assert sum(Parameters.of(gate).total for gate in gates.values()) == added


def test_frozen_parameters_and_statistics_are_told_apart() -> None:
    network = narrow('ge-theta-e8', frozen_stages=1, freeze_gates=True)
    cost = count_cost(network, torch.zeros(1, 3, 32, 32))
    frozen = sum(p.numel() for p in network.parameters() if not p.requires_grad)
    assert frozen > 0
    assert cost.parameters[''].trainable == cost.parameters[''].total - frozen
    # The mean and the variance of three normalisations in each of 16 gates, C / 8 wide.
    assert cost.gate_parameters().statistics == 2 * 3 * 15_104 // 8


def test_plugins_of_another_backbone_count_alike() -> None:
    plugins = [dict(cfg=dict(ATTENTION['se']), position='after_conv3')]
    options = dict(depth=50, groups=4, base_width=2)
    plain, gated = ResNeXt(**options), ResNeXt(**options, plugins=plugins)
    image = torch.zeros(1, 3, 64, 64)
    cost = count_cost(gated, image)
    # The outputs of the units are those of a ResNet-50.
    ours = count_cost(ge_det.AttentionResNet(50, attention=ATTENTION['se']), image)
    assert list(cost.gates) == list(ours.gates)
    assert len(cost.gates) == 16
    assert cost.gate_flops() == ours.gate_flops()
    assert cost.flops() - cost.gate_flops() == count_cost(plain, image).flops()


def test_the_network_is_left_as_it_was() -> None:
    network = narrow('sge', norm_eval=False).train()
    network.layer1[0].eval()
    blocks = network.gates()
    training = [module.training for module in network.modules()]
    fused = [getattr(module, 'fused', None) for module in network.modules()]
    names = list(network.state_dict())
    count_cost(network, torch.zeros(1, 3, 32, 32))
    assert network.gates() == blocks
    assert [module.training for module in network.modules()] == training
    assert [getattr(module, 'fused', None) for module in network.modules()] == fused
    assert list(network.state_dict()) == names
    assert not any(module._forward_hooks for module in network.modules())


class Odd(ge_det.SqueezeExcite):
    """A block with an operation that has no rule."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(torch.cumsum(x, 1))


def test_a_strangers_block_is_counted_as_it_runs_and_gaps_are_told() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), Odd(4, ratio=4))
    cost = count_cost(network, torch.zeros(1, 3, 5, 5))
    assert cost.gates == {'1': 'Odd'}
    assert cost.gate_flops() == 2 * 4 * 25  # the sigmoid and the product
    assert cost.flops() == 3 * 4 * 25 + 2 * 4 * 25
    assert cost.without_rule['1'] == {'aten::cumsum': 1}


def test_unknown_convention_is_named() -> None:
    cost = count_cost(ge_det.SqueezeExcite(C), torch.zeros(1, C, 3, 3))
    with pytest.raises(ValueError, match="'macs' is not known: it must be one of multiply-adds, "):
        cost.flops(trunk='macs')


def test_every_convention_nests() -> None:
    chain = ('multiply-adds', 'pooling', 'layers')
    assert all(CONVENTIONS[a] < CONVENTIONS[b] for a, b in zip(chain, chain[1:], strict=False))
    assert CONVENTIONS['all'] is None
