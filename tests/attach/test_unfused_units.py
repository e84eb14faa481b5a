"""Units that may not run fused: they run as modules, and the plan says why."""

import pytest
import torch
from gated_units import fused_units, gated, images, pair, runs_as
from library_units import mmdet, mmpretrain, timm, torchvision
from torch import nn

from ge_det import AttentionResNet, add_attention, execution_plan

pytestmark = pytest.mark.usefixtures('peers')


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
    assert runs_as(folded) == ['fused'] * 2 and 'no normalisation' in execution_plan(folded)[0].why


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
    assert runs_as(network) == ['modules'] * 2
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
    assert runs_as(network) == ['modules'] * 2 and 'Doubled ends is not known' in str(
        execution_plan(network)
    )
    doubled, plain = network.layer1[0], modules.layer1[0]
    x = network.stem(images())
    torch.testing.assert_close(doubled(x), 2 * plain(x))


def test_a_subclass_with_a_metaclass_of_its_own_is_gated_by_a_hook():
    from torchvision.models.resnet import Bottleneck

    network, (_, modules) = torchvision(), pair()
    for unit in network.layer1:
        unit.__class__ = type('Counting', (type,), {})('Counted', (Bottleneck,), {})
    gated(network).double().load_state_dict(modules.state_dict())
    assert runs_as(network) == ['modules'] * 2
    torch.testing.assert_close(network(images()), modules(images()))


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
