"""Gates in somebody's ResNet: the outputs of before, gates that learn, and the report."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from attach_networks import relative, small_resnet
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import images, randomise
from torch import Tensor, nn

from ge_det import add_attention, remove_attention
from ge_det.attach.hook import placed_gates
from ge_det.catalogue import NAMES

EXACT = [n for n in NAMES if n != 'none' and not n.startswith('ge-theta-minus')]
APPROXIMATE = ['ge-theta-minus', 'ge-theta-minus-e8']
SIZES = ((64, 64), (41, 70))


@pytest.fixture(scope='module')
def plain(peers: None) -> nn.Module:
    return small_resnet()


def changed(network: nn.Module, plain: nn.Module, training: bool = False) -> float:
    """The largest relative difference of outputs."""
    network, plain = copy.deepcopy(network).train(training), copy.deepcopy(plain).train(training)
    with torch.no_grad():
        return max(relative(network(images(size)), plain(images(size))) for size in SIZES)


@pytest.mark.parametrize('name', EXACT)
def test_outputs_stay_and_gates_learn(name: str, plain: nn.Module) -> None:
    network = copy.deepcopy(plain)
    report = add_attention(network, name)
    assert changed(network, plain) <= 1e-5
    assert changed(network, plain, training=True) <= 1e-5
    assert [gate.start for gate in report.gates] == ['constant'] * 5
    assert report.deviation is not None and report.deviation <= 1e-5
    gates = [placed.gate for placed in placed_gates(network)]
    before = copy.deepcopy([list(gate.parameters()) for gate in gates])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    network.train()
    for _ in range(2):  # Weights behind the zeroed ones move once those have.
        optimizer.zero_grad()
        network(images(SIZES[0])).square().sum().backward()
        optimizer.step()
    for gate, old in zip(gates, before, strict=True):
        pairs = list(zip(gate.parameters(), old, strict=True))
        assert any(not torch.equal(now, then) for now, then in pairs)
        assert all(parameter.grad is not None for parameter, _ in pairs)


@pytest.mark.parametrize('name', APPROXIMATE)
def test_theta_minus_is_approximate_and_the_report_says_how_far(
    name: str, plain: nn.Module
) -> None:
    network, untouched = copy.deepcopy(plain), copy.deepcopy(plain)
    report = add_attention(network, name)
    add_attention(untouched, name, preserve_function=False)
    assert [gate.start for gate in report.gates] == ['fitted'] * 5
    x = images(SIZES[0])
    expected = _features(plain, x)
    errors = [relative(_features(one, x), expected) for one in (network, untouched)]
    assert errors[0] < 0.8 * errors[1]
    # What the report says of the last unit, measured here on images like its own.
    squares = torch.zeros(2)
    for size in ((64, 64), (96, 128)):
        x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
        y, expected = (_features(one, x) for one in (network, plain))
        squares += torch.stack([(y - expected).square().sum(), expected.square().sum()])
    measured = float((squares[0] / squares[1]).sqrt())
    assert report.gates[-1].deviation == pytest.approx(measured, rel=1e-3)
    assert report.deviation == max(gate.deviation or 0 for gate in report.gates)


def _features(network: Any, x: Tensor) -> Tensor:
    found: list[Tensor] = []
    handle = network.layer4.register_forward_hook(lambda *call: found.append(call[2]))
    with torch.no_grad():
        network(x)
    handle.remove()
    return found[0]


@pytest.mark.parametrize('name', ['se', 'sge'])
def test_without_preserve_function_gates_begin_as_their_authors(
    name: str, plain: nn.Module
) -> None:
    network = copy.deepcopy(plain)
    report = add_attention(network, name, preserve_function=False)
    assert changed(network, plain) > 0.05
    assert [(gate.start, gate.deviation) for gate in report.gates] == [('fresh', None)] * 5
    assert report.deviation is None
    weights = {k: v for k, v in network.state_dict().items() if k in plain.state_dict()}
    assert all(torch.equal(v, plain.state_dict()[k]) for k, v in weights.items())


def test_the_report_is_a_table(plain: nn.Module) -> None:
    network = copy.deepcopy(plain)
    report = add_attention(network, 'se', stages=(False, True, False, True))
    lines = str(report).splitlines()
    assert lines[0].split() == [
        *('unit', 'gate', 'block', 'channels', 'parameters', 'start', 'deviation')
    ]
    assert lines[1].split()[:6] == ['layer2.0', 'se_layer', 'se', '32', '162', 'constant']
    assert [line.split()[0] for line in lines[1:3]] == ['layer2.0', 'layer4.0']
    assert lines[4].startswith('2 gates, 2,346 parameters: 2 constant')
    assert len(lines) == 6
    assert report.to_dict()['gates'][1]['gate'] == 'layer4.0.se_layer'
    assert [g.stage for g in report.gates] == [1, 3]
    held = {name for name, _ in network.named_modules() if name.endswith('se_layer')}
    assert held == {gate.gate for gate in report.gates}
    parameters = [
        sum(p.numel() for p in placed.gate.parameters()) for placed in placed_gates(network)
    ]
    assert [gate.parameters for gate in report.gates] == parameters


def test_the_type_of_a_dict_may_be_a_class_a_name_or_a_short_name(plain: nn.Module) -> None:
    from ge_det import SqueezeExcite

    for name in ('ge_det.SqueezeExcite', 'SqueezeExcite'):
        report = add_attention(copy.deepcopy(plain), name)
        assert report.gates[0].gate == 'layer1.0.se_layer'
    for kind in (SqueezeExcite, 'ge_det.SqueezeExcite', 'SqueezeExcite', 'se'):
        network = copy.deepcopy(plain)
        report = add_attention(network, dict(type=kind, ratio=4))
        assert report.gates[0].parameters == 2 * 16 * 4 + 16 + 4
        assert changed(network, plain) <= 1e-5


def test_modes_and_the_random_state_stay(plain: nn.Module) -> None:
    network = copy.deepcopy(plain).train()
    network.layer2.eval()
    modes = {name: module.training for name, module in network.named_modules()}
    add_attention(network, 'sge')
    now = {name: module.training for name, module in network.named_modules() if name in modes}
    assert now == modes
    gates = {placed.unit: placed.gate.training for placed in placed_gates(network)}
    assert gates == {name: name != 'layer2.0' for name in gates}


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_gates_have_the_dtype_of_the_network(dtype: torch.dtype, plain: nn.Module) -> None:
    network = copy.deepcopy(plain).to(dtype)
    report = add_attention(network, 'ge-theta-plus-e8')
    floating = [t for t in network.state_dict().values() if t.is_floating_point()]
    assert {t.dtype for t in floating} == {dtype}
    assert report.deviation is not None
    assert report.deviation <= (1e-13 if dtype == torch.float64 else 0.2)


@pytest.mark.parametrize('name', ['se', 'ge-theta-minus'])
def test_normalisations_may_be_more_precise_than_the_rest(name: str, plain: nn.Module) -> None:
    network = copy.deepcopy(plain).bfloat16()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.float()
    expected = network(images(SIZES[0]).bfloat16())
    report = add_attention(network, name)
    assert report.deviation is not None and report.unmeasured is None
    y = network(images(SIZES[0]).bfloat16())
    assert y.dtype == torch.bfloat16
    assert name != 'se' or relative(y.float(), expected.float()) <= 0.03


@pytest.mark.parametrize(
    'around',
    [
        lambda: torch.device('meta'),  # Where new tensors are made, as by torch.set_default_device.
        lambda: torch.autocast('cpu', torch.bfloat16),
        torch.inference_mode,
    ],
    ids=['device', 'autocast', 'inference'],
)
def test_what_is_set_around_a_call(around: Callable[[], Any], plain: nn.Module) -> None:
    network = copy.deepcopy(plain)
    with around():
        report = add_attention(network, 'se')
    assert report.deviation is not None and report.deviation <= 1e-5
    assert changed(network, plain) <= 1e-5
    network.train()(images(SIZES[0])).square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_a_unit_alone_and_units_in_a_sequential(peers: None) -> None:
    from torchvision.models.resnet import BasicBlock

    unit = randomise(nn.Sequential(nn.Conv2d(3, 8, 3), BasicBlock(8, 8)))
    x, old = images((16, 16)), copy.deepcopy(unit)
    report = add_attention(unit, dict(type='se', ratio=2))
    assert [gate.gate for gate in report.gates] == ['1.se_layer']
    assert relative(unit(x), old(x)) <= 1e-5
    report = add_attention(BasicBlock(8, 8), dict(type='se', ratio=2))
    assert [(gate.unit, gate.gate) for gate in report.gates] == [('', 'se_layer')]
    assert report.deviation is not None and report.deviation <= 1e-5


def test_two_backbones_and_a_trunk_without_names(plain: nn.Module) -> None:
    both = nn.ModuleDict(dict(a=copy.deepcopy(plain), b=copy.deepcopy(plain)))
    report = add_attention(both, 'sge')
    assert [gate.stage for gate in report.gates] == [0, 0, 1, 2, 3] * 2
    assert report.gates[5].gate == 'b.layer1.0.sge'
    assert changed(both['b'], plain) <= 1e-5
    parts = copy.deepcopy(plain)
    trunk = nn.Sequential(*list(parts.children())[:-1])
    report = add_attention(trunk, 'ge-theta')
    assert [gate.gate for gate in report.gates] == [
        f'{n}.ge' for n in ('2.0', '2.1', '3.0', '4.0', '5.0')
    ]
    assert [gate.stage for gate in report.gates] == [0, 0, 1, 2, 3]


def test_a_network_extracted_by_fx(plain: nn.Module) -> None:
    from torchvision.models.feature_extraction import create_feature_extractor

    extracted = create_feature_extractor(copy.deepcopy(plain), ['layer4.0.relu_1'])
    expected = _features(plain, images(SIZES[0]))

    def units(model: Any) -> Any:
        for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
            yield from ((unit, unit.bn2, unit.bn2.num_features) for unit in stage.children())

    add_attention(extracted, 'se', units=units)
    assert sum('se_layer' in name for name in extracted.state_dict()) == 5 * 4
    x = images(SIZES[0])
    assert relative(extracted.eval()(x)['layer4.0.relu_1'], expected) <= 1e-5
    add_attention(
        changing := create_feature_extractor(copy.deepcopy(plain), ['fc']),
        'se',
        units=units,
        preserve_function=False,
    )
    assert relative(changing.eval()(x)['fc'], plain(x)) > 0.01


@settings(deadline=None, max_examples=6)
@given(
    name=st.sampled_from(EXACT),
    stages=st.lists(st.booleans(), min_size=4, max_size=4).filter(any),
    size=st.tuples(st.integers(33, 70), st.integers(33, 70)),
    training=st.booleans(),
)
def test_any_block_in_any_stages_at_any_size(
    name: str, stages: list[bool], size: tuple[int, int], training: bool, plain: nn.Module
) -> None:
    network = copy.deepcopy(plain)
    report = add_attention(network, name, stages=stages)
    units = [2 * stages[0], *stages[1:]]
    assert [sum(g.stage == s for g in report.gates) for s in range(4)] == units
    one, other = (copy.deepcopy(n).train(training) for n in (network, plain))
    with torch.no_grad():
        assert relative(one(images(size)), other(images(size))) <= 1e-5
    remove_attention(network)
    pairs = zip(network.state_dict().items(), plain.state_dict().items(), strict=True)
    assert all(a == b and torch.equal(v, w) for (a, v), (b, w) in pairs)
