"""What of an AttentionResNet runs fused, what as modules, and that the plan says so."""

import functools

import pytest
import torch
from fused_networks import GATED, images, pair
from torch import nn

from ge_det import AttentionResNet, SpatialGroupEnhance
from ge_det.blocks.plain import as_torch_has_it
from ge_det.execution import plan as plans


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
