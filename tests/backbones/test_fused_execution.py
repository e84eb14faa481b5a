"""AttentionResNet with fused=True against the same network with fused=False."""

import copy

import pytest
import torch
from fused_networks import GATED, images, pair
from mmdet.models import ResNet

from ge_det import AttentionResNet
from lab.speed.memory import kept_bytes

each_gate = pytest.mark.parametrize('name', GATED)


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
