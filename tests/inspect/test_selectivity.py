"""The class selectivity index by hand, and of the units of real networks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from narrow_detectors import block
from random_networks import randomise

from ge_det import AttentionResNet, add_attention, execution_plan
from ge_det.errors import UserError
from ge_det.inspect.gates import named_gates
from ge_det.inspect.selectivity import ClassSelectivity
from ge_det.inspect.unit_selectivity import LabelledBatch, pool_boxes, selectivity_of


def test_the_index_by_hand():
    # By class, means of 4, 1 and 1: (4 - 1) / (4 + 1); the same in all; one class alone; never.
    features = torch.tensor(
        [[3.0, 2, 0, 0], [5, 2, 0, 0], [1, 2, 0, 0], [0, 2, 7, 0], [2, 2, 9, 0]]
    )
    selectivity = ClassSelectivity(4)  # The last has no example.
    selectivity.add(features[:2], torch.tensor([0, 0]))
    selectivity.add(features[2:], torch.tensor([1, 2, 2]))
    expected = torch.tensor([0.6, 0, 1, float('nan')], dtype=torch.float64)
    torch.testing.assert_close(selectivity.index(), expected, equal_nan=True)
    assert selectivity.counts.tolist() == [2, 1, 2, 0]


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 5), st.integers(1, 20), st.integers(0, 2**16), st.integers(0, 20))
def test_the_index_lies_in_its_range_however_examples_come(classes, examples, seed, cut):
    generator = torch.Generator().manual_seed(seed)
    features = torch.rand(examples + 2, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (examples + 2,), generator=generator)
    labels[:2] = torch.tensor([0, 1])
    parts, whole = ClassSelectivity(classes), ClassSelectivity(classes)
    whole.add(features, labels)
    parts.add(features[:cut], labels[:cut])
    parts.add(features[cut:] * 1, labels[cut:])
    index = parts.index()
    assert ((index >= 0) & (index <= 1)).all()
    torch.testing.assert_close(index, whole.index())
    scaled = ClassSelectivity(classes)
    scaled.add(features * 7, labels)
    torch.testing.assert_close(scaled.index(), index)


@pytest.mark.parametrize(
    'features, labels, told',
    [
        (torch.ones(2, 3), torch.tensor([0, 5]), 'labels from 0 to 5 for 2 classes'),
        (torch.ones(2, 3), torch.tensor([-1, 0]), 'labels from -1 to 0'),
        (-torch.ones(2, 3), torch.tensor([0, 1]), 'features below 0'),
        (torch.ones(2, 3), torch.tensor([0]), r'features \(2, 3\) with labels \(1,\)'),
    ],
)
def test_wrong_examples_are_refused(features, labels, told):
    with pytest.raises(ValueError, match=told):
        ClassSelectivity(2).add(features, labels)


def test_one_class_is_not_compared():
    selectivity = ClassSelectivity(3)
    with pytest.raises(UserError, match='no class|0 classes'):
        selectivity.index()
    selectivity.add(torch.ones(2, 3), torch.tensor([1, 1]))
    with pytest.raises(UserError, match='labelled examples of 1 class:'):
        selectivity.index()


def test_features_of_boxes_by_hand():
    # A map that is the x of its pixels, and one that is the y: a box has the mean of its middle.
    y, x = torch.meshgrid(torch.arange(6.0) * 8 + 4, torch.arange(8.0) * 8 + 4, indexing='ij')
    features = torch.stack((x, y))[None].expand(3, -1, -1, -1)
    boxes = [
        torch.tensor([[8.0, 8, 24, 40], [10, 5, 11, 6]]),
        torch.zeros(0, 4),
        torch.tensor([[32.0, 16, 56, 24]]),
    ]
    pooled = pool_boxes(features, boxes, (48, 64))
    expected = torch.tensor([[16.0, 24], [10.5, 5.5], [44, 20]])
    torch.testing.assert_close(pooled, expected)
    half = pool_boxes(features.half(), boxes, (48, 64))
    torch.testing.assert_close(half, expected)  # Its positions are not rounded.


def by_definition(features, labels):
    means = torch.stack([features[labels == one].mean(0) for one in labels.unique()]).double()
    top, place = means.max(0)
    others = torch.ones_like(means, dtype=torch.bool).scatter_(0, place[None], False)
    rest = torch.stack([m[o].mean() for m, o in zip(means.t(), others.t(), strict=True)])
    return (top - rest) / (top + rest)


def network_of(attention):
    network = AttentionResNet(18, attention=block(attention), base_channels=8, stem_channels=8)
    return randomise(network)


@pytest.mark.parametrize('attention', ['se', 'sge', 'ge-theta-minus-e8'])
@torch.no_grad()
def test_units_of_a_network_with_gates(attention):
    network = network_of(attention)
    pictures, labels = torch.randn(6, 3, 48, 40), torch.tensor([0, 1, 2, 0, 1, 2])
    plan = execution_plan(network)
    batches = (LabelledBatch(pictures[i : i + 2], labels[i : i + 2]) for i in (0, 2, 4))
    found = selectivity_of(network, batches, 3)
    assert list(found) == [one.unit for one in plan]
    assert execution_plan(network) == plan
    assert not network.layer4[1]._forward_hooks

    seen = {}
    unit, gate = network.layer4[1], list(named_gates(network).values())[-1]
    for name, module in (('unit', unit), ('gate', gate)):
        module.register_forward_hook(
            lambda m, x, y, name=name: seen.update({name: (x[0], y.clone())})
        )
    network(pictures)
    told = found['layer4.1']
    for index, active in (
        (told.unit, seen['unit'][1]),
        (told.ungated, seen['gate'][0].relu()),
        (told.gated, seen['gate'][1].relu()),
    ):
        expected = by_definition(active.mean((2, 3)), labels)
        torch.testing.assert_close(index, expected, rtol=1e-3, atol=1e-4, equal_nan=True)
    assert not torch.equal(told.gated, told.ungated)


@torch.no_grad()
def test_units_of_a_plain_network_on_boxes():
    network = randomise(AttentionResNet(18, base_channels=8, stem_channels=8))
    images = torch.randn(2, 3, 64, 64)
    boxes = [torch.tensor([[0.0, 0, 32, 32], [32, 0, 64, 32]]), torch.tensor([[10.0, 10, 30, 50]])]
    labels = [torch.tensor([0, 1]), torch.tensor([1])]
    found = selectivity_of(network, [LabelledBatch(images, labels, boxes)], 2)
    assert len(found) == 8
    maps = network(images)
    expected = by_definition(pool_boxes(maps[1], boxes, (64, 64)), torch.cat(labels))
    told = found['layer2.1']
    torch.testing.assert_close(told.unit, expected, equal_nan=True, rtol=1e-3, atol=1e-4)
    assert told.gated is None and told.ungated is None


@torch.no_grad()
def test_units_of_a_network_of_torchvision(peers):
    from torchvision.models import resnet18

    network = resnet18().eval()
    pictures, labels = torch.randn(4, 3, 40, 40), torch.tensor([0, 1, 0, 1])
    before = network(pictures)
    add_attention(network, 'sge')
    found = selectivity_of(network, [LabelledBatch(pictures, labels)], 2)
    assert list(found) == [f'layer{1 + number // 2}.{number % 2}' for number in range(8)]
    # Fresh gates are the same for all classes, and what the network computes is what it was.
    for one in found.values():
        torch.testing.assert_close(one.gated, one.ungated, rtol=1e-3, atol=1e-4, equal_nan=True)
    torch.testing.assert_close(network(pictures), before)


def test_a_network_without_units_is_refused():
    with pytest.raises(UserError, match='no residual unit'):
        selectivity_of(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1)), [], 2)
