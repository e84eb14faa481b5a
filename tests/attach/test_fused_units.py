"""Units of other libraries with fused execution against the same units without it."""

import copy
import io
import pickle
import subprocess
import sys

import pytest
import torch
import torch.utils.checkpoint as cp
from gated_units import assert_same, fused_units, gated, images, pair, run
from library_units import NETWORKS, mmdet, mmpretrain, timm, torchvision
from torch import nn

from ge_det import AttentionResNet, SqueezeExcite, add_attention, execution_plan, remove_attention
from ge_det.attach.fused import unfuse
from ge_det.attach.hook import placed_gates
from ge_det.catalogue import NAMES

pytestmark = pytest.mark.usefixtures('peers')
BLOCKS = [name for name in NAMES if name != 'none']
each_network = pytest.mark.parametrize('kind', NETWORKS)
each_mode = pytest.mark.parametrize('training', [True, False], ids=['train', 'eval'])


def runs(network):
    return [plan.runs for plan in execution_plan(network)]


@each_network
@each_mode
@pytest.mark.parametrize('name', ['se', 'sge'])
def test_equals_the_modules(kind, training, name):
    fused, modules = pair(kind, name)
    fused.train(training), modules.train(training)
    assert runs(fused) == ['fused'] * 2 and runs(modules) == ['modules'] * 2
    assert list(fused.state_dict()) == list(modules.state_dict())
    assert_same(fused, modules, images())


@each_mode
@pytest.mark.parametrize('name', BLOCKS)
def test_every_block(name, training):
    fused, modules = pair(name=name)
    assert_same(fused.train(training), modules.train(training), images((40, 33)))


@pytest.mark.parametrize('kind', ['torchvision', 'torchvision-frozen', 'timm-basic', 'mmdet'])
@pytest.mark.parametrize('size', [(1, 1), (2, 1), (1, 35), (64, 64)], ids=str)
def test_any_size(kind, size):
    fused, modules = pair(kind, 'sge')
    assert_same(fused.eval(), modules.eval(), images(size))


@each_network
def test_in_float32_and_channels_last(kind):
    fused, modules = (each.float() for each in pair(kind))
    x = images(dtype=torch.float32)
    assert_same(fused, modules, x, tolerance=1e-4)
    last = x.contiguous(memory_format=torch.channels_last)
    fused, modules = (each.to(memory_format=torch.channels_last) for each in (fused, modules))
    assert_same(fused, modules, last, tolerance=1e-4)
    assert fused(last).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('kind', ['torchvision', 'torchvision-frozen', 'timm-basic', 'mmdet'])
@each_mode
def test_autocast(kind, training):
    """As close to float64 as the modules are, up to a small factor, and of their dtype."""
    pairs = pair(kind)
    exact, _ = run(copy.deepcopy(pairs[1]).train(training), images())
    outputs = []
    for network in pairs:
        network.float().train(training)
        with torch.autocast('cpu', torch.bfloat16):
            outputs.append(network(images(dtype=torch.float32)))
        outputs[-1].float().sum().backward()
        assert all(p.grad.isfinite().all() for p in network.parameters())
    assert outputs[0].dtype == outputs[1].dtype
    ours, theirs = ((out - exact).norm() / exact.norm() for out in outputs)
    assert ours <= 1.5 * theirs + 0.005


def test_an_empty_batch():
    fused, _ = pair()
    assert fused.eval()(images()[:0]).shape == (0, 32, 9, 7)


@pytest.mark.parametrize('kind', ['mmdet', 'mmdet-basic', 'mmpretrain', 'mmpretrain-basic'])
def test_checkpointing_is_kept(kind, monkeypatch):
    fused, modules = pair(kind)
    expected = modules(images())
    for network in (fused, modules):
        for unit in fused_units(network):
            unit.with_cp = True
    checkpointed = []
    original = cp.checkpoint
    monkeypatch.setattr(
        cp, 'checkpoint', lambda *a, **k: checkpointed.append(a) or original(*a, **k)
    )
    torch.testing.assert_close(fused(images().requires_grad_()), expected)
    assert len(checkpointed) == 2
    assert_same(fused.train(), modules.train(), images())


# ---- what it still is ----------------------------------------------------------------------------


@each_network
def test_it_is_still_of_the_librarys_class(kind):
    plain, (fused, _) = NETWORKS[kind](), pair(kind)
    for unit, own in zip(fused.layer1, plain.layer1, strict=True):
        assert isinstance(unit, type(own)) and type(unit).__name__ == type(own).__name__
        assert unit.expansion == own.expansion and type(unit).__doc__ == type(own).__doc__
        gate = fused.get_submodule('layer1.0.se_layer')
        assert repr(own).splitlines()[0] == repr(unit).splitlines()[0] and 'SqueezeExcite' in repr(
            gate
        )


@pytest.mark.parametrize('kind', ['torchvision-frozen', 'timm', 'mmdet', 'mmpretrain-basic'])
def test_copies_and_pickles(kind, tmp_path):
    fused, modules = pair(kind)
    x = images()
    expected = modules(x).detach()
    file = io.BytesIO()
    torch.save(fused, file)
    file.seek(0)
    twins = [copy.deepcopy(fused), copy.copy(fused), torch.load(file, weights_only=False)]
    twins += [pickle.loads(pickle.dumps(fused, protocol)) for protocol in (0, 2, 5)]
    for twin in twins:
        assert runs(twin) == ['fused'] * 2
        assert [type(a) for a in twin.modules()] == [type(a) for a in fused.modules()]
        torch.testing.assert_close(twin(x), expected)
    deep = twins[0]
    with torch.no_grad():
        for parameter in deep.get_submodule('layer1.0.se_layer').parameters():
            parameter.add_(1)
    assert not torch.allclose(deep(x), expected) and torch.allclose(fused(x), expected)


def test_a_unit_alone_can_be_copied_and_a_setting_goes_with_it():
    fused, _ = pair()
    unit = fused.layer1[1]
    unit.fused = False
    assert not copy.copy(unit).fused and not copy.deepcopy(unit).fused
    del unit.fused
    assert copy.copy(unit).fused


FRESH = """
import sys, torch
from ge_det.compat.peers import use_peers
use_peers()
network, x, expected = torch.load(sys.argv[1], weights_only=False)
compiled = torch.compile(network, backend='eager', fullgraph=True)  # the first call of all
torch.testing.assert_close(compiled(x), expected)
from ge_det import execution_plan
print(*[plan.runs for plan in execution_plan(network)])
"""


def test_in_a_fresh_process(tmp_path):
    fused, modules = pair('torchvision-frozen')
    x = images()
    torch.save((fused, x, modules(x).detach()), tmp_path / 'network.pth')
    command = [sys.executable, '-c', FRESH, str(tmp_path / 'network.pth')]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == ['fused'] * 2, done.stderr


def test_a_network_without_its_gates_has_the_librarys_classes_again():
    fused, plain = torchvision(), torchvision()
    add_attention(fused, 'se')
    assert runs(fused) == ['fused'] * 2
    fused.layer1[0].fused = False
    remove_attention(fused)
    assert [type(unit) for unit in fused.layer1] == [type(unit) for unit in plain.layer1]
    assert 'fused' not in vars(fused.layer1[0])
    unfuse(plain.layer1[0])  # does nothing
    assert type(plain.layer1[0]) is type(fused.layer1[0])


# ---- what stands against it ----------------------------------------------------------------------


def replace_relu(unit):
    unit.relu = nn.ReLU6()


def replace_norm(unit):
    unit.bn3 = nn.GroupNorm(4, 32)


def sync_norm(unit):
    unit.bn3 = nn.SyncBatchNorm(32)


def hook_on_norm(unit):
    unit.bn3.register_forward_hook(lambda module, inputs, output: output * 0.9)


def hook_on_gate(unit):
    unit.se_layer.register_forward_hook(lambda module, inputs, output: output * 0.9)


def hook_on_relu(unit):
    unit.relu.register_forward_hook(lambda module, inputs, output: output * 0.9)


def pre_hook_on_norm(unit):
    unit.bn3.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 0.9,))


def another_module(unit):
    unit.drop_path = nn.Dropout(0.0)


def timms_slot(unit):
    unit.se = nn.Conv2d(32, 32, 1)


def own_forward(unit):
    unit.forward = lambda x: unit.relu(x.new_zeros(2, 32, 9, 7))


def other_gate(unit):
    unit.se_layer = nn.Conv2d(32, 32, 1)


@pytest.mark.parametrize(
    'change, why',
    [
        (replace_relu, 'another activation'),
        (replace_norm, 'GroupNorm) has to be called'),
        (sync_norm, 'SyncBatchNorm) has to be called'),
        (hook_on_norm, 'another hook'),
        (hook_on_gate, 'its last block has a hook'),
        (hook_on_relu, 'its ReLU has a hook'),
        (pre_hook_on_norm, 'BatchNorm2d) has to be called'),
        (another_module, 'a module of its own in `drop_path`, Dropout'),
        (timms_slot, 'a module of its own in `se`, Conv2d'),
        (own_forward, 'its forward was replaced'),
        (other_gate, 'Conv2d is no AttentionBlock'),
    ],
    ids=lambda value: getattr(value, '__name__', None),
)
def test_what_was_changed_runs_as_modules_and_says_so(change, why):
    fused, modules = pair()
    fused.train(), modules.train()
    change(fused.layer1[1])
    plan = execution_plan(fused)
    if change in (replace_norm, sync_norm, other_gate):  # the hook comes back with the next run
        if change is sync_norm:
            return_to_hook(fused.layer1[1])
        else:
            fused.double()(images())
        plan = execution_plan(fused)
    assert [each.runs for each in plan] == ['fused', 'modules'] and why in plan[1].why
    if change is not sync_norm:  # it needs a GPU or a process group
        change(modules.layer1[1])
        modules.load_state_dict(fused.state_dict())
        torch.testing.assert_close(fused.double()(images()), modules.double()(images()))


def return_to_hook(unit):
    next(iter(unit._forward_pre_hooks.values()))(unit, ())


def test_a_normalisation_that_was_folded_away_leaves_the_gate():
    """``mmcv.cnn.fuse_conv_bn`` puts nn.Identity in its place."""
    from mmcv.cnn import fuse_conv_bn

    fused, modules = pair()
    expected = modules.eval()(images())
    folded = fuse_conv_bn(fused.eval())
    torch.testing.assert_close(folded(images()), expected)
    assert runs(folded) == ['fused'] * 2 and 'no normalisation' in execution_plan(folded)[0].why


def test_a_foreign_hook_sees_what_it_saw():
    fused, modules = pair()
    seen = []
    for network in (fused, modules):
        network.layer1[1].bn3.register_forward_hook(lambda *args: seen.append(args[1:]))
        network(images())
    for actual, expected in zip(*seen, strict=True):
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize(
    'make, why',
    [
        (lambda: timm(drop_path=nn.Dropout()), '`drop_path`'),
        (lambda: timm(act_layer=nn.SiLU), 'another activation'),
        (lambda: mmpretrain(drop_path_rate=0.5), '`drop_path`'),
        (lambda: mmpretrain(act_cfg=dict(type='GELU')), 'another activation'),
        (
            lambda: mmdet(plugins=[dict(cfg=dict(type='ContextBlock', ratio=0.5), position=AFTER)]),
            '`context_block`',
        ),
    ],
    ids=['drop_path', 'act', 'mm_drop_path', 'mm_act', 'plugin'],
)
def test_units_that_do_more_run_as_modules(make, why):
    network = gated(make())
    plan = execution_plan(network)
    assert runs(network) == ['modules'] * 2
    assert all(why in unit.why for unit in plan), plan
    assert network(images(dtype=torch.float32)).isfinite().all()


AFTER = 'after_conv3'


def test_a_class_whose_forward_was_replaced(monkeypatch):
    """Before and after the gates came."""
    from torchvision.models.resnet import Bottleneck

    fused, modules = pair()
    plain = torchvision()
    monkeypatch.setattr(Bottleneck, 'forward', lambda self, x: self.conv1(x))
    assert [plan.why for plan in execution_plan(fused)] == ['its forward was replaced'] * 2
    for network in (gated(plain), fused.float()):
        with pytest.raises(RuntimeError, match='channels'):  # as the new one makes it
            network(images(dtype=torch.float32))
    assert not fused_units(plain)
    assert all('is not known' in plan.why for plan in execution_plan(plain))


def test_a_subclass_with_a_forward_of_its_own_keeps_it():
    from torchvision.models.resnet import Bottleneck

    class Doubled(Bottleneck):
        def forward(self, x):
            return 2 * super().forward(x)

    network, (_, modules) = torchvision(), pair()
    for unit in network.layer1:
        unit.__class__ = Doubled
    gated(network).double().load_state_dict(modules.state_dict())
    assert runs(network) == ['modules'] * 2 and 'Doubled ends is not known' in str(
        execution_plan(network)
    )
    doubled, plain = network.layer1[0], modules.layer1[0]
    x = network.stem(images())
    torch.testing.assert_close(doubled(x), 2 * plain(x))


def test_the_plan_of_a_larger_model():
    class Detector(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = AttentionResNet(
                18, 'se', base_channels=16, attention_stages=(True, False, True, True)
            )
            self.other = gated(torchvision())
            self.plain = torchvision()

    detector = Detector()
    plan = execution_plan(detector)
    own = [(f'backbone.{name}', *rest) for name, *rest in detector.backbone.execution_plan()]
    assert [tuple(each) for each in plan[:8]] == own
    assert [each.unit for each in plan[8:]] == ['other.layer1.0', 'other.layer1.1']
    assert {each.runs for each in plan if each.unit.startswith(('other', 'backbone.layer1'))} == {
        'fused'
    }
    assert execution_plan(detector.plain) == []


@pytest.mark.parametrize('depth', [18, 50])
def test_a_plain_network_of_ours_says_that_a_hook_gates_it(depth):
    network = AttentionResNet(depth, base_channels=16)
    add_attention(network, 'se')
    plan = execution_plan(network)
    assert {unit.runs for unit in plan} == {'modules'}
    assert all('a hook gates it' in unit.why for unit in plan)
    network.eval()
    x = images((32, 32), torch.float32)
    before = network(x)[0]
    nn.init.constant_(network.layer1[0].se_layer.conv2.conv.bias, 9)
    assert not torch.allclose(network(x)[0], before)


# ---- graphs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'kind, training',
    [('torchvision', True), ('torchvision-frozen', True), ('timm-basic', False), ('mmdet', False)],
)
def test_compiles_into_one_graph_and_runs_fused(kind, training):
    fused, _ = pair(kind)
    fused.train(training)
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    x = images()
    out = torch.compile(fused, backend=backend, fullgraph=True)(x)
    ends = (torch.ops.ge_det.gated_residual, torch.ops.ge_det.folded)
    assert len(graphs) == 1
    assert len([node for node in graphs[0].graph.nodes if node.target in ends]) == 2
    torch.testing.assert_close(out, fused(x))


def test_tracing_and_export_write_down_torchs_own_operators_only():
    fused, modules = pair()
    fused.eval(), modules.eval()
    x = images()
    traced = torch.jit.trace(fused, x)
    assert 'ge_det::' not in str(traced.inlined_graph)
    program = torch.export.export(fused, (x,))
    assert not [node for node in program.graph.nodes if 'ge_det' in str(node.target)]
    for run_graph in (traced, program.module()):
        torch.testing.assert_close(run_graph(x), modules(x))


def test_features_can_be_taken_out_by_symbolic_tracing():
    from torchvision.models.feature_extraction import create_feature_extractor

    fused, modules = pair()
    fused.eval(), modules.eval()
    features = create_feature_extractor(fused, ['layer1.0', 'layer1.1'])(images())
    torch.testing.assert_close(features['layer1.1'], modules(images()))


def test_parameters_can_be_given_from_outside():
    fused, modules = pair()
    weights = {key: value * 0.9 for key, value in fused.eval().state_dict().items()}
    out = torch.func.functional_call(fused, weights, (images(),))
    modules.load_state_dict(weights)
    torch.testing.assert_close(out, modules.eval()(images()))


def test_gates_are_where_the_hooks_say():
    fused, _ = pair()
    assert [placed.name for placed in placed_gates(fused)] == [
        'layer1.0.se_layer',
        'layer1.1.se_layer',
    ]
    assert all(isinstance(placed.gate, SqueezeExcite) for placed in placed_gates(fused))
