"""Gates are recorded as they are, and the network neither notices nor keeps anything of it."""

import pytest
import torch
from attention_cases import ATTENTION
from block_cases import BLOCKS, CHANNELS, random_block
from torch import nn

from ge_det import AttentionResNet, SqueezeExcite, add_attention, execution_plan
from ge_det.blocks import AttentionBlock
from ge_det.errors import UserError
from ge_det.inspect.gates import named_gates, stage_of
from ge_det.inspect.recording import record_gates

NARROW = dict(base_channels=8, stem_channels=8)


def images():
    return torch.randn(2, 3, 48, 40, generator=torch.Generator().manual_seed(1))


def recorded(network, x):
    seen = {}
    with record_gates(network, lambda name, x, gate: seen.setdefault(name, (x, gate))):
        out = network(x)
    return seen, out


@pytest.mark.parametrize('name', BLOCKS)
@torch.no_grad()
def test_what_is_recorded_is_the_gate(name):
    block = random_block(name).eval()
    x = torch.randn(2, CHANNELS, 9, 7, dtype=torch.float64)
    seen, out = recorded(nn.Sequential(block), x)
    (kept, gate) = seen['0']
    assert torch.equal(kept, x)
    assert torch.equal(gate, block.coarse_gate(x))
    assert torch.equal(out, block(x))


@pytest.mark.parametrize('name', ['se', 'sge', 'ge-theta-e8', 'sp-se', 'rg-se'])
@torch.no_grad()
def test_the_output_stays(name):
    network = AttentionResNet(50, attention=ATTENTION[name], **NARROW).eval()
    x = images()
    fused = network(x)
    seen, out = recorded(network, x)
    for unit in network.modules():
        if hasattr(unit, 'why_not_fused'):
            unit.fused = False
    for maps in zip(out, network(x), fused, strict=True):
        assert torch.equal(maps[0], maps[1])
        torch.testing.assert_close(maps[0], maps[2], rtol=1e-4, atol=1e-4)
    assert list(seen) == list(network.gates())


def test_units_say_that_they_are_recorded():
    network = AttentionResNet(50, attention='se', **NARROW).eval()
    before = execution_plan(network)
    with record_gates(network, lambda *_: None):
        assert {(plan.runs, plan.why) for plan in execution_plan(network)} == {
            ('modules', 'its gate is recorded')
        }
    assert execution_plan(network) == before
    assert {plan.runs for plan in before} == {'fused'}


def test_nothing_stays_after_an_error():
    network = AttentionResNet(50, attention='sge', **NARROW)
    before = [(dict(vars(gate)), len(gate._forward_hooks)) for gate in network.gates().values()]

    def fail(*_):
        raise OSError('full')

    with pytest.raises(OSError, match='full'), record_gates(network, fail):
        network(images())
    assert [
        (dict(vars(gate)), len(gate._forward_hooks)) for gate in network.gates().values()
    ] == before


def test_training_goes_on_as_without():
    """Statistics of a gate's own normalisation move once a step, and gradients flow."""
    attention = dict(type='ge_det.ResolutionGuidedSE', ratio=4)
    outcomes = []
    for watched in (False, True):
        torch.manual_seed(0)
        network = AttentionResNet(18, attention=attention, fused=False, norm_eval=False, **NARROW)
        if watched:
            with record_gates(network, lambda name, x, gate: x.requires_grad or gate.mean()):
                network(images())[-1].sum().backward()
        else:
            network(images())[-1].sum().backward()
        outcomes.append(
            [*network.buffers(), *(p.grad for p in network.parameters() if p.grad is not None)]
        )
    assert all(map(torch.equal, *outcomes))


class WholeGate(AttentionBlock):
    _abbr_ = 'whole'

    def gate(self, x):
        return torch.sigmoid(x)


@torch.no_grad()
def test_a_block_with_a_gate_of_its_own_and_one_that_is_asked_while_it_is_watched():
    block, x = WholeGate(4), torch.randn(2, 4, 5, 5)
    differences = []
    with record_gates(
        nn.Sequential(block),
        lambda name, x, gate: differences.append((gate - block.gate(x)).abs().max()),
    ):
        block(x)
        block(-x)
    assert differences == [0, 0]


def test_gates_of_other_libraries_and_wrapped(peers):
    from torchvision.models import resnet18

    network = nn.Module()
    network.body = resnet18()
    add_attention(network.body, dict(type=SqueezeExcite, ratio=4))
    names = list(named_gates(network))
    assert names[0] == 'body.layer1.0.se_layer' and len(names) == 8
    assert [stage_of(name) for name in names] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert list(named_gates(nn.DataParallel(network))) == names


@torch.no_grad()
def test_compiled_networks_are_recorded_too():
    block, x = random_block('se', torch.float32).eval(), torch.randn(2, CHANNELS, 5, 4)
    compiled = torch.compile(nn.Sequential(block), backend='eager')
    expected = compiled(x)
    seen, out = recorded(compiled, x)
    assert list(seen) == ['0'] and torch.equal(seen['0'][1], block.coarse_gate(x))
    torch.testing.assert_close(out, expected)


def test_stages_without_names_are_counted_and_a_list_is_no_network():
    names = ['4.0.sge', '4.1.sge', '6.0.sge']
    assert [stage_of(name, names) for name in names] == [0, 0, 1]
    with pytest.raises(UserError, match='must be an nn.Module'):
        named_gates([])
