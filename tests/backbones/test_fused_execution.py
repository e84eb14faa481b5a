"""AttentionResNet with fused=True against the same network with fused=False."""

import copy
import functools

import pytest
import torch
from attention_cases import narrow_attention
from mmdet.models import ResNet
from mmdet.models.backbones.resnet import BasicBlock, Bottleneck
from random_networks import randomise
from torch import nn

from ge_det import AttentionResNet, SpatialGroupEnhance
from ge_det.blocks.plain import as_torch_has_it
from ge_det.execution import plan as plans
from lab.speed.memory import kept_bytes

GATED = narrow_attention()
each_gate = pytest.mark.parametrize('name', GATED)


class Short(AttentionResNet):
    """Few units, each of which is like one of the whole network."""

    arch_settings = {18: (BasicBlock, (2, 1, 1, 1)), 50: (Bottleneck, (2, 1, 1, 1))}


def pair(attention, depth=50, **kwargs):
    """The same random float64 network, fused and not."""
    kwargs = dict(dict(base_channels=8, gate_norm_eval=True), **kwargs)
    network = randomise(Short(depth, attention, **kwargs)).double()
    modules = copy.deepcopy(network)
    modules.fused = False
    return network, modules


def images(dtype=torch.float64, size=(64, 98)):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, 3, *size, dtype=dtype, generator=generator)


def run(network, x):
    """Outputs, and the gradients of the input and of all parameters."""
    x = x.clone().requires_grad_()
    outputs = network(x)
    generator = torch.Generator().manual_seed(5)
    total = 0
    for out in outputs:
        upstream = torch.randn(out.shape, generator=generator, dtype=out.dtype)
        total = total + (out * upstream).sum()
    learning = [p for p in network.parameters() if p.requires_grad]
    network.zero_grad()
    total.backward()  # not autograd.grad, which mmdet's checkpointing refuses
    return outputs, [x.grad, *(p.grad for p in learning)]


def assert_same(fused, modules, x):
    outputs, grads = run(fused, x)
    expected_outputs, expected_grads = run(modules, x)
    for actual, expected in zip(outputs, expected_outputs, strict=True):
        torch.testing.assert_close(actual, expected, atol=1e-10, rtol=1e-10)
    largest = max(grad.abs().max() for grad in expected_grads if grad is not None)
    for actual, expected in zip(grads, expected_grads, strict=True):
        assert (actual is None) == (expected is None)
        if actual is not None:
            assert (actual - expected).abs().max() <= 1e-10 * largest
    for key, value in fused.state_dict().items():
        torch.testing.assert_close(value, modules.state_dict()[key])


def runs(network):
    return {plan.runs for plan in network.execution_plan()}


@each_gate
@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize(
    'mode', [dict(norm_eval=True), dict(norm_eval=False)], ids=['norm_eval', 'batch']
)
def test_equals_the_modules_in_training(name, depth, mode):
    fused, modules = pair(GATED[name], depth, **mode)
    fused.train()
    modules.train()
    assert runs(fused) == {'fused'} and runs(modules) == {'modules'}
    assert list(fused.state_dict()) == list(modules.state_dict())
    assert_same(fused, modules, images())


@each_gate
def test_equals_the_modules_in_inference(name):
    fused, modules = pair(GATED[name])
    with torch.no_grad():
        for size in ((96, 130), (33, 65)):
            x = images(size=size)
            for actual, expected in zip(fused(x), modules(x), strict=True):
                torch.testing.assert_close(actual, expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize(
    'setting',
    [
        dict(with_cp=True),
        dict(frozen_stages=2, freeze_gates=True),
        dict(frozen_stages=2, freeze_gates=False, gate_norm_eval=False),
        dict(style='caffe', deep_stem=True, avg_down=True),
        dict(attention_stages=(False, True, False, True)),
        dict(dilations=(1, 1, 1, 2), strides=(1, 2, 2, 1)),
        dict(stem_pool='ceil'),
        dict(norm_cfg=dict(type='GN', num_groups=4), conv_cfg=dict(type='ConvWS')),
        dict(norm_cfg=dict(type='BN', requires_grad=False), num_stages=3),
        dict(norm_cfg=dict(type='SyncBN'), num_stages=2),
    ],
    ids=lambda setting: '-'.join(setting),
)
@pytest.mark.parametrize('name', ['se', 'ge-theta-plus-e8', 'sge'])
def test_equals_the_modules_under_other_settings(name, setting):
    fused, modules = pair(GATED[name], norm_eval=True, **setting)
    fused.train()
    modules.train()
    assert 'fused' in runs(fused)
    assert_same(fused, modules, images())


@each_gate
def test_channels_last(name):
    fused, modules = pair(GATED[name])
    fused, x = fused.train().to(memory_format=torch.channels_last), images()
    assert_same(fused, modules.train(), x.contiguous(memory_format=torch.channels_last))
    outputs = fused(x.contiguous(memory_format=torch.channels_last))
    assert all(out.is_contiguous(memory_format=torch.channels_last) for out in outputs)


@each_gate
def test_autocast(name):
    """As close to float64 as the modules are, up to a small factor."""
    fused, modules = pair(GATED[name])
    exact, _ = run(copy.deepcopy(modules).train(), images())
    errors, dtypes = [], []
    for network in (fused, modules):
        network.float().train()
        with torch.autocast('cpu', torch.bfloat16):
            outputs = network(images(torch.float32))
        sum(out.float().sum() for out in outputs).backward()
        assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)
        errors.append(
            [((a - b).norm() / b.norm()).item() for a, b in zip(outputs, exact, strict=True)]
        )
        dtypes.append([out.dtype for out in outputs])
    assert dtypes[0] == dtypes[1]
    for error, modules_error in zip(*errors, strict=True):
        assert error <= 1.5 * modules_error + 0.005


@each_gate
def test_keeps_hardly_more_for_the_backward_pass_than_a_plain_network(name):
    kwargs = dict(depth=50, base_channels=16, norm_eval=True, frozen_stages=1)
    plain, x = ResNet(**kwargs), images(torch.float32, (384, 640))
    plain.train()  # it returns None
    attention = dict(GATED[name], groups=16) if name == 'sge' else GATED[name]
    network = AttentionResNet(attention=attention, freeze_gates=True, **kwargs).train()
    kept = []
    for each in (network, plain):
        own = (*each.parameters(), *each.buffers())
        kept.append(kept_bytes(lambda each=each: each(x), without=own)[0])
    share = kept[0] / kept[1] - 1
    # The gate itself is kept: a quarter of the map with extent 2, one value a group with SGE.
    assert share <= {'sge': 0.035, 'ge-theta-e2': 0.08}.get(name, 0.025)


def first_unit(network):
    return network.layer1[0]


def add_hook(network):
    first_unit(network).sge.register_forward_hook(lambda *_: None)


def replace_relu(network):
    first_unit(network).relu = nn.ReLU6()


def replace_norm(network):
    first_unit(network).bn3 = nn.GroupNorm(4, 32)


def no_bias(network):
    first_unit(network).bn3.register_parameter('bias', None)


def patch_gate(network):
    block = first_unit(network).sge
    block.coarse_gate = lambda x: torch.full_like(x[:, :1], 0.5)


def parametrise(network):
    nn.utils.parametrizations.weight_norm(first_unit(network).conv3)


def patch_forward(network):
    block = first_unit(network).sge
    block.forward = lambda x: x * 0.5


def subclass(network):
    class Other(SpatialGroupEnhance):
        def gate(self, x):
            return torch.full_like(x[:, :1], 0.5)

        def forward(self, x):
            return x * self.gate(x)

    first_unit(network).sge = Other(32, groups=8)


def sync_norm(network):
    first_unit(network).bn3 = nn.SyncBatchNorm(32).train()


@pytest.mark.parametrize(
    'change, runs, why',
    [
        (add_hook, 'modules', 'hook'),
        (replace_relu, 'modules', 'ReLU'),
        (patch_gate, 'modules', 'forward of its own'),
        (patch_forward, 'modules', 'forward of its own'),
        (subclass, 'modules', 'Other overrides forward, but not gate_from_wide'),
        (replace_norm, 'fused', 'GroupNorm as a module of its own; gate from its output'),
        (sync_norm, 'fused', 'SyncBatchNorm as a module of its own; gate from its output'),
        (parametrise, 'fused', 'gate from its output'),
        (no_bias, 'fused', 'gate from projections of its input'),
    ],
    ids=lambda value: getattr(value, '__name__', None),
)
def test_runs_what_was_changed_as_modules_and_says_so(change, runs, why):
    network, _ = pair(GATED['sge'])
    change(network)
    plan = {unit.unit: unit for unit in network.execution_plan()}
    assert plan['layer1.0'].runs == runs and why in plan['layer1.0'].why
    assert {unit.runs for name, unit in plan.items() if name != 'layer1.0'} == {'fused'}
    if change is not sync_norm:  # it needs a GPU or a process group
        network.double().fused = False
        expected = network(images())[0].detach()
        network.fused = True
        torch.testing.assert_close(network(images())[0], expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize('kind', [nn.Conv2d, nn.BatchNorm2d, nn.ReLU])
@pytest.mark.parametrize('method', ['forward', '__call__'])
def test_a_class_of_torch_that_was_patched_is_called(kind, method, monkeypatch):
    network, _ = pair(GATED['sge'])
    original = getattr(kind, method)
    monkeypatch.setattr(kind, method, lambda *arguments: original(*arguments) * 0.9)
    outputs = []
    for fused in (True, False):
        network.double().fused = fused
        outputs.append(network(images())[0].detach())
    torch.testing.assert_close(*outputs, atol=1e-10, rtol=1e-10)


def test_a_patch_of_a_class_of_torch_before_ge_det_is_imported_is_seen():
    for kind in (nn.Conv2d, nn.BatchNorm2d, nn.SyncBatchNorm, nn.ReLU, nn.Identity):
        original = kind.forward
        assert as_torch_has_it(original) is original
        assert as_torch_has_it(kind.__call__) is kind.__call__
        assert as_torch_has_it(functools.wraps(original)(lambda *x, run=original: run(*x))) is None


def test_private_names_of_torch_are_there():
    """Where one is gone in a newer torch, its fallback works, and is to be looked at."""
    assert not plans._has_global_hook()
    assert torch.compiler._is_exporting_flag is False


def test_without_the_private_names_nothing_is_wrong(monkeypatch):
    network, _ = pair(GATED['sge'])
    monkeypatch.setattr(torch.compiler, '_is_exporting_flag', None)
    assert {unit.runs for unit in network.execution_plan()} == {'fused'}
    monkeypatch.setattr(plans, '_has_global_hook', None)
    assert {unit.runs for unit in network.execution_plan()} == {'modules'}
    assert 'does not tell' in network.execution_plan()[0].why


def test_a_hook_sees_what_it_saw_without_fusion():
    fused, modules = pair(GATED['sge'])
    seen = []
    for network in (fused, modules):
        network.layer3[0].sge.register_forward_hook(lambda *args: seen.append(args[1:]))
        network(images())
    for actual, expected in zip(seen[0], seen[1], strict=True):
        torch.testing.assert_close(actual, expected)


def test_a_second_plugin_and_foreign_blocks_run_as_modules():
    plugin = dict(cfg=dict(type='ContextBlock', ratio=0.25), position='after_conv3')
    network = AttentionResNet(50, GATED['se'], base_channels=8, plugins=[plugin])
    assert all('several plugins' in unit.why for unit in network.execution_plan())
    foreign = AttentionResNet(50, dict(type='mmdet.ContextBlock', ratio=0.25), base_channels=8)
    assert all('ContextBlock is no AttentionBlock' in unit.why for unit in foreign.execution_plan())
    plain = AttentionResNet(18, base_channels=8)
    assert {unit.why for unit in plain.execution_plan()} == {'it has no attention block'}


def test_tracing_writes_down_torchs_own_operators_only():
    for name in ('se', 'sge', 'ge-theta-e8', 'sp-se'):
        network, modules = pair(GATED[name])
        x = images(size=(64, 64))
        traced = torch.jit.trace(network, x)
        assert 'ge_det::' not in str(traced.inlined_graph)
        for actual, expected in zip(traced(x), modules(x), strict=True):
            torch.testing.assert_close(actual, expected, atol=1e-10, rtol=1e-10)


def test_an_empty_batch_runs_as_modules():
    network, _ = pair(GATED['se'])
    assert network(images()[:0])[0].shape == (0, 32, 16, 25)
