"""Channels are dropped in the order of their gates: by hand, and in real networks."""

from types import SimpleNamespace

import pytest
import torch
from narrow_detectors import block
from random_networks import images, randomise
from torch import nn

from ge_det import AttentionResNet, execution_plan
from ge_det.blocks import AttentionBlock
from ge_det.errors import UserError
from ge_det.inspect.gates import named_gates
from ge_det.inspect.importance import channel_importance, dropped, evaluation, plain_ends

NARROW = dict(base_channels=8, stem_channels=8)


class GivenGate(AttentionBlock):
    """A gate that is what it is told, in pictures of ones."""

    def __init__(self, values):
        super().__init__(values.shape[1])
        self.values = values

    def coarse_gate(self, x):
        return self.values[:, :, None, None]


GATES = torch.tensor([[0.1, 0.4, 0.2, 0.3], [0.8, 0.5, 0.7, 0.6]])


def test_the_curves_by_hand():
    network, x = nn.Sequential(GivenGate(GATES)), torch.ones(2, 4, 3, 5)
    calls = []

    def evaluate():
        calls.append(network(x).mean(dim=(2, 3)).sum(1))  # What is left of each picture's gates.
        return float(calls[-1][0] + 10 * calls[-1][1])

    shares = (0, 0.25, 0.5, 0.75, 1)
    found = channel_importance(network, '0', evaluate, shares)
    # Of the first picture 0.1, 0.2 and 0.3 go in turn, of the second 0.5, 0.6 and 0.7.
    assert found.shares == shares
    assert found.ascending == pytest.approx((1 + 26, 0.9 + 21, 0.7 + 15, 0.4 + 8, 0))
    assert found.descending == pytest.approx((1 + 26, 0.6 + 18, 0.3 + 11, 0.1 + 5, 0))
    assert len(calls) == 8  # The two ends once.
    assert not network[0]._forward_hooks


def test_of_equal_gates_the_first_channels_go():
    gate = GivenGate(torch.full((1, 4), 0.5))
    for ascending in (True, False):
        with dropped(gate, 0.5, ascending):
            assert gate(torch.ones(1, 4, 1, 1)).flatten().tolist() == [0, 0, 0.5, 0.5]


@pytest.mark.parametrize('attention', ['se', 'sge', 'ge-theta-e8'])
@torch.no_grad()
def test_a_unit_of_a_real_network(attention):
    network = randomise(AttentionResNet(18, attention=block(attention), **NARROW))
    name = list(named_gates(network))[-1]
    unit, gate, before = network.layer4[1], named_gates(network)[name], execution_plan(network)
    seen = {}
    unit.register_forward_hook(lambda m, x, y: seen.update(x=x[0], y=y))
    x = images((64, 48))
    whole = network(x)[-1]
    with dropped(gate, 1.0):
        torch.testing.assert_close(network(x)[-1], seen['x'])  # What is left is the shortcut.
        assert [one.runs for one in execution_plan(network)] == ['fused'] * 7 + ['modules']
    with dropped(gate, 0.25, ascending=False):
        changed = ((network(x)[-1] - whole).abs() > 1e-4).any(dim=3).any(dim=2).sum(dim=1)
    assert (changed <= gate.in_channels // 4).all() and changed.any()
    assert execution_plan(network) == before
    assert torch.equal(network(x)[-1], whole)


@torch.no_grad()
def test_the_ends_of_a_plain_network():
    network = randomise(AttentionResNet(18, **NARROW))
    x = images((64, 48))
    whole = network(x)[-1]
    unit_in = {}
    network.layer4[1].register_forward_pre_hook(lambda m, inputs: unit_in.update(x=inputs[0]))
    ends = plain_ends(network, 'layer4.1', lambda: float(network(x)[-1].sum()))
    assert ends == pytest.approx((float(whole.sum()), float(unit_in['x'].sum())))
    assert torch.equal(network(x)[-1], whole)


def test_what_is_not_there_is_named():
    network = AttentionResNet(18, attention=block('se'), **NARROW)
    with pytest.raises(UserError, match="no gate 'layer9': there are layer1.0.se_layer, "):
        channel_importance(network, 'layer9', float)
    with pytest.raises(UserError, match='between 0 and 1'):
        channel_importance(network, 'layer1.0.se_layer', float, (0, 2))
    with pytest.raises(UserError, match="no unit 'layer9': there are layer1.0, "):
        plain_ends(network, 'layer9', float)
    with pytest.raises(UserError, match='layer1.0 carries a gate'):
        plain_ends(network, 'layer1.0', float)


def test_hooks_go_after_an_error():
    network = nn.Sequential(GivenGate(GATES))
    with pytest.raises(KeyError), dropped(network[0], 0.5):
        raise KeyError
    assert not network[0]._forward_hooks


def test_where_nothing_is_detected_ap_is_zero():
    """mmdet's metric returns no figures then."""
    model = SimpleNamespace(test_step=lambda data: data)
    evaluator = SimpleNamespace(process=lambda **_: None, evaluate=lambda size: {})
    assert evaluation(model, [], evaluator, 'coco/bbox_mAP')() == 0
    evaluator.evaluate = lambda size: {'accuracy/top1': 1.0}
    with pytest.raises(UserError, match="no 'coco/bbox_mAP': it gives accuracy/top1"):
        evaluation(model, [], evaluator, 'coco/bbox_mAP')()
