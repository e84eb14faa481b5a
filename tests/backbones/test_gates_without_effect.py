"""Fresh gates of frozen stages freeze with them, and their units run as plain ones."""

import copy

import pytest
import torch
from attention_cases import narrow_attention
from mmengine.runner.checkpoint import load_state_dict as load_as_a_runner
from random_networks import randomise

from ge_det import AttentionResNet, SpatialGroupEnhance
from ge_det.blocks.constant import MayBeConstant

GATED = narrow_attention()
WEIGHTLESS = [name for name in GATED if 'theta-minus' in name]
with_weights = pytest.mark.parametrize('name', [name for name in GATED if name not in WEIGHTLESS])


@pytest.fixture(scope='module')
def trunk_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('trunk') / 'trunk.pth'
    torch.save(randomise(AttentionResNet(18, base_channels=8)).state_dict(), path)
    return str(path)


def network(name, file, preserve=True, **kwargs):
    backbone = AttentionResNet(
        18,
        GATED[name],
        pretrained=dict(checkpoint=file, preserve_function=preserve),
        **dict(dict(base_channels=8, frozen_stages=1, norm_eval=True), **kwargs),
    )
    backbone.init_weights()
    return backbone


def plain(file):
    backbone = AttentionResNet(18, base_channels=8, pretrained=file)
    backbone.init_weights()
    return backbone.eval()


def first_stage(backbone):
    return [gate for name, gate in backbone.gates().items() if name.startswith('layer1')]


def learns(gates):
    (flag,) = {p.requires_grad for gate in gates for p in gate.parameters()}
    return flag


def images(dtype=torch.float32):
    return torch.randn(2, 3, 64, 98, generator=torch.Generator().manual_seed(1), dtype=dtype)


def is_computed(gates):
    return any(gate.known_constant() is None for gate in gates)


def computed(backbone, x, monkeypatch):
    """What every gate gives when it is computed."""
    with monkeypatch.context() as patch:
        patch.setattr(MayBeConstant, 'known_constant', lambda self: None)
        return backbone(x)


def same(actual, expected, **tolerance):
    for x, y in zip(actual, expected, strict=True):
        torch.testing.assert_close(x, y, **tolerance)


@with_weights
def test_the_unit_runs_as_a_plain_one(name, trunk_file):
    backbone, x = network(name, trunk_file).double(), images(torch.float64)
    expected = plain(trunk_file).double()(x)
    for fused in (True, False):
        backbone.fused = fused
        for mode in (False, True):
            backbone.train(mode)
            assert not is_computed(first_stage(backbone))
            assert is_computed(backbone.gates().values())
            same(backbone(x)[:1], expected[:1], rtol=1e-6, atol=1e-6)  # Imported in float32.
    assert not learns(first_stage(backbone)) and learns(
        [backbone.gates()['layer2.0.' + abbr(name)]]
    )
    assert 'layer1.0.' in ''.join(backbone.state_dict()) and backbone(x)[0].grad_fn is None
    backbone.fused = True
    assert 'a constant' in backbone.execution_plan()[0].why


def abbr(name):
    return next(iter(AttentionResNet(18, GATED[name]).gates())).rpartition('.')[2]


def test_a_half_is_taken_back_to_the_bit(trunk_file):
    backbone = network('se', trunk_file, fused=False).eval()
    x = images()
    assert torch.equal(backbone(x)[0], plain(trunk_file)(x)[0])


@pytest.mark.parametrize('name', ['se', 'ge-theta', 'sge'])
@pytest.mark.parametrize('option', [dict(freeze_gates=False), dict(preserve=False)], ids=str)
def test_others_learn_in_frozen_stages(name, option, trunk_file):
    backbone = network(name, trunk_file, **option).train()
    sum(out.square().mean() for out in backbone(images())).backward()
    assert learns(first_stage(backbone))
    assert is_computed(first_stage(backbone))
    assert any(p.grad.any() for gate in first_stage(backbone) for p in gate.parameters())


@pytest.mark.parametrize('name', WEIGHTLESS)
def test_a_gate_without_weights_goes_on(name, trunk_file):
    backbone = network(name, trunk_file).eval()
    assert len(backbone.load_report.preserved.approximate) == 8
    assert is_computed(first_stage(backbone))


@torch.no_grad()
def write(backbone, state):
    for key, tensor in backbone.state_dict(keep_vars=True).items():
        tensor.copy_(state[key])


def write_past_autograd(backbone, state):
    for key, tensor in backbone.state_dict(keep_vars=True).items():
        tensor.data.copy_(state[key])
    backbone.train(not backbone.training)
    backbone.train(not backbone.training)


WAYS = {
    'load_state_dict': lambda backbone, state: backbone.load_state_dict(state),
    'as a runner': load_as_a_runner,
    'assigned': lambda backbone, state: backbone.load_state_dict(state, assign=True),
    'in place': write,
    'past autograd': write_past_autograd,
}


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize(
    ('name', 'mode'),
    [('se', False), ('ge-theta-plus', False), ('sge', False), ('sge', True)],
)
def test_gates_that_learned_elsewhere_do_what_they_learned(
    name, way, mode, trunk_file, monkeypatch
):
    backbone = network(name, trunk_file).train(mode)
    trained = randomise(copy.deepcopy(backbone), seed=2).state_dict()
    WAYS[way](backbone, trained)
    with torch.no_grad():
        after = backbone(images())
        same(after, computed(backbone, images(), monkeypatch), rtol=0, atol=0)
    assert is_computed(first_stage(backbone))


@pytest.mark.parametrize('name', ['se', 'ge-theta-e8', 'sge'])
def test_a_published_network_with_gates_in_its_first_stage(name, trunk_file, tmp_path):
    trained = randomise(AttentionResNet(18, GATED[name], base_channels=8), seed=3)
    torch.save(trained.state_dict(), tmp_path / 'gated.pth')
    backbone = network(name, str(tmp_path / 'gated.pth')).eval()
    assert not learns(first_stage(backbone))
    same(backbone(images()), trained.eval()(images()), rtol=1e-5, atol=1e-5)
    assert is_computed(first_stage(backbone))


@with_weights
def test_a_training_that_froze_them_is_found_again(name, trunk_file):
    backbone = network(name, trunk_file).eval()
    again = AttentionResNet(18, GATED[name], base_channels=8, frozen_stages=1)  # As for a test.
    again.load_state_dict(backbone.state_dict())
    with torch.no_grad():
        same(again.eval()(images()), backbone(images()), rtol=1e-5, atol=1e-5)


def nothing(gate):
    return torch.zeros(1, gate.in_channels, 1, 1)


@pytest.mark.parametrize('fused', [True, False])
def test_the_constant_is_what_runs(fused, trunk_file, monkeypatch):
    backbone = network('sge', trunk_file, fused=fused).eval()
    before = backbone(images())[0]
    monkeypatch.setattr(MayBeConstant, 'known_constant', nothing)
    assert not torch.allclose(backbone(images())[0], before)


class Halved(SpatialGroupEnhance):
    _abbr_ = 'sge'

    def coarse_gate(self, x):
        return super().coarse_gate(x) / 2

    gate_from_wide = SpatialGroupEnhance.gate_from_wide


def keep(module, inputs, output):
    module.kept = output


def double(module, inputs, output):
    return 2 * output


@pytest.mark.parametrize('when', ['before', 'after'])
@pytest.mark.parametrize('change', ['hook', 'answer', 'kept output'])
def test_a_gate_that_somebody_changed_is_computed(change, when, trunk_file, monkeypatch):
    backbone = network('se', trunk_file, fused=False)
    gates = first_stage(backbone)
    if when == 'after':
        backbone.eval()
    for gate in gates:
        if change == 'hook':
            gate.conv2.register_forward_hook(double)
        elif change == 'answer':
            gate.coarse_gate = lambda x, gate=gate: type(gate).coarse_gate(gate, x) / 2
        else:
            gate.register_forward_hook(keep)
    backbone(images().requires_grad_())
    backbone.eval()
    assert is_computed(gates)
    same(backbone(images()), computed(backbone, images(), monkeypatch), rtol=0, atol=0)


def test_a_subclass_that_changes_the_gate_is_computed():
    gate = Halved(8, groups=4)
    gate.note_constant()
    assert gate.known_constant() is None
    plain_sge = SpatialGroupEnhance(8, groups=4).requires_grad_(False)
    plain_sge.note_constant()
    assert plain_sge.known_constant() is not None


def test_gradients_after_an_inference(trunk_file):
    backbone = network('se', trunk_file)
    with torch.inference_mode():
        backbone.eval()
        backbone(images())
    x = images().requires_grad_()
    backbone(x)[0].sum().backward()
    assert x.grad.any()


def test_gates_that_learn_are_never_constants(trunk_file):
    backbone = network('sge', trunk_file, freeze_gates=False).eval()
    with torch.no_grad():
        assert is_computed(first_stage(backbone))


def test_in_functorch(trunk_file):
    backbone = network('se', trunk_file, fused=False).eval()
    weights = {key: torch.stack([value] * 2) for key, value in backbone.named_parameters()}
    buffers = dict(backbone.named_buffers())

    x = images()

    def run(weights):
        return torch.func.functional_call(backbone, {**weights, **buffers}, (x,))[0]

    same([torch.func.vmap(run)(weights)[1]], [backbone(x)[0]], rtol=1e-5, atol=1e-5)


def test_who_wants_a_gradient_gets_it(trunk_file):
    backbone = network('sge', trunk_file).train()
    for gate in first_stage(backbone):
        gate.requires_grad_(True)
    sum(out.square().mean() for out in backbone(images())).backward()
    assert all(p.grad.any() for gate in first_stage(backbone) for p in gate.parameters())


@pytest.mark.parametrize('change', ['double', 'copy', 'half and back'])
def test_what_moves_is_looked_at_again(change, trunk_file, monkeypatch):
    backbone = network('sp-se', trunk_file).eval()
    if change == 'copy':
        backbone = copy.deepcopy(backbone)
    elif change == 'double':
        backbone = backbone.double()
    else:
        backbone = backbone.half().float()
    x = images(torch.float64 if change == 'double' else torch.float32)
    same(backbone(x), computed(backbone, x, monkeypatch), rtol=1e-5, atol=1e-5)
    backbone.eval()
    assert not is_computed(first_stage(backbone))


def test_a_compiled_network_keeps_no_constant(trunk_file, monkeypatch):
    backbone = network('se', trunk_file).eval()
    compiled = torch.compile(backbone, backend='eager')
    with torch.no_grad():
        same(compiled(images()), backbone(images()), rtol=1e-6, atol=1e-6)
        write(backbone, randomise(copy.deepcopy(backbone), seed=2).state_dict())
        expected = computed(backbone, images(), monkeypatch)
        same(compiled(images()), expected, rtol=1e-5, atol=1e-5)


def test_all_frozen_is_told(trunk_file, monkeypatch):
    lines = []
    monkeypatch.setattr(
        'ge_det.backbones.attention_resnet.print_log', lambda text, **_: lines.append(text)
    )
    network('se', trunk_file, frozen_stages=4)
    assert '8 in frozen stages stay without effect (freeze_gates=False lets them learn)' in lines[0]
