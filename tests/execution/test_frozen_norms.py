"""The fused end of a unit whose normalisation is a library's frozen one."""

import pytest
import torch
from torch import nn

from ge_det import SpatialGroupEnhance, SqueezeExcite
from ge_det.execution import ConvNormGate, describe, finish_unit, fused, norms
from ge_det.execution.norms import has_affine

CHANNELS = 16
GATES = dict(
    se=lambda: SqueezeExcite(CHANNELS, ratio=4), sge=lambda: SpatialGroupEnhance(16, groups=4)
)
pytestmark = pytest.mark.usefixtures('peers')


def torchvisions():
    from torchvision.ops import FrozenBatchNorm2d

    return FrozenBatchNorm2d(CHANNELS, eps=1e-3)


def timms():
    from timm.layers.norm_act import FrozenBatchNormAct2d

    return FrozenBatchNormAct2d(CHANNELS, eps=1e-3, apply_act=False)


def transformers():
    from importlib import import_module

    pytest.importorskip('transformers')
    return import_module('transformers.models.detr.modeling_detr').DetrFrozenBatchNorm2d(CHANNELS)


each_norm = pytest.mark.parametrize('make', [torchvisions, timms, transformers])


def random_tail(make, kernel=1, gate='se'):
    norm = make()
    for name, buffer in norm.named_buffers():
        nn.init.uniform_(buffer, 0.5, 2) if name == 'running_var' else nn.init.normal_(buffer)
    block = GATES[gate]()
    for parameter in block.parameters():
        nn.init.normal_(parameter, 0.3)
    conv = nn.Conv2d(8, CHANNELS, kernel, padding=kernel // 2, bias=False)
    return ConvNormGate(conv, norm, block)


def run(tail, size, dtype, modules, autocast=False):
    """The end of the unit and its gradients."""
    generator = torch.Generator().manual_seed(2)
    u, identity = (
        torch.randn(2, channels, *size, generator=generator).to(dtype).requires_grad_()
        for channels in (8, CHANNELS)
    )
    for module in tail[:3]:
        module.to(dtype)
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        if modules:
            out = (identity + tail.gate(tail.norm(tail.conv(u)))).relu()
        else:
            out = finish_unit(u, identity, tail)
    weights = [*tail.conv.parameters(), *tail.gate.parameters()]
    return [out, *torch.autograd.grad(out.double().cos().sum(), [u, identity, *weights])]


@each_norm
@pytest.mark.parametrize('gate', GATES)
@pytest.mark.parametrize('kernel, size', [(1, (9, 7)), (1, (1, 1)), (1, (17, 8)), (3, (5, 6))])
def test_equals_the_modules(make, gate, kernel, size):
    tail = random_tail(make, kernel, gate)
    assert has_affine(tail.norm)
    results = [run(tail, size, torch.float64, modules) for modules in (False, True)]
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, atol=1e-10, rtol=1e-10)


@each_norm
@pytest.mark.parametrize('training', [True, False])
def test_a_mode_changes_nothing_and_it_is_told(make, training):
    tail = random_tail(make)
    tail.norm.train(training)
    assert 'normalisation (fixed)' in describe(tail)
    before = {key: value.clone() for key, value in tail.norm.state_dict().items()}
    out, *_ = run(tail, (17, 8), torch.float64, modules=False)
    torch.testing.assert_close(out, run(tail, (17, 8), torch.float64, modules=True)[0])
    assert all(torch.equal(before[key].double(), now) for key, now in tail.norm.named_buffers())


@pytest.mark.parametrize('size', [(4, 4), (17, 8)])
def test_under_autocast_features_are_float32_as_of_the_module(size):
    tail = random_tail(torchvisions)
    exact = run(tail, size, torch.float64, modules=True)
    ours, theirs = (run(tail, size, torch.float32, m, autocast=True) for m in (False, True))
    for actual, expected, true in zip(ours, theirs, exact, strict=True):
        assert actual.dtype == expected.dtype == torch.float32
        error, modules_error = ((value - true).norm() / true.norm() for value in (actual, expected))
        assert error <= 1.5 * modules_error + 1e-3


def test_on_a_cpu_it_goes_into_the_weights():
    tail = random_tail(torchvisions)
    assert fused.folds(torch.rand(1, 8, 8, 8), tail.norm)
    assert not fused.folds(torch.rand(1, 8, 8, 8).bfloat16(), tail.norm)  # It makes float32.


def other_activation(norm):
    norm.act = nn.ReLU()


def hook(norm):
    norm.register_forward_hook(lambda module, inputs, output: output * 2)


def own_forward(norm):
    norm.forward = lambda x: x


@pytest.mark.parametrize('change', [other_activation, hook, own_forward])
def test_one_that_does_more_is_called(change):
    tail = random_tail(timms)
    change(tail.norm)
    assert not has_affine(tail.norm)
    results = [run(tail, (9, 7), torch.float64, modules) for modules in (False, True)]
    torch.testing.assert_close(results[0][0], results[1][0])


def test_a_class_that_was_patched_or_has_only_the_name_is_called(monkeypatch):
    norm = torchvisions()
    namesake = type('FrozenBatchNorm2d', (type(norm),), {})(CHANNELS)
    assert has_affine(norm) and not has_affine(namesake)
    monkeypatch.setattr(type(norm), 'forward', lambda self, x: x)
    assert not has_affine(norm)


def test_a_class_of_the_name_that_computes_otherwise_is_called(monkeypatch):
    """As one in another version of its library might."""

    class FrozenBatchNorm2d(type(torchvisions())):
        def forward(self, x):
            return super().forward(x) + (0 if self.training else 1e-3)

    FrozenBatchNorm2d.__module__ = 'torchvision.ops.misc'
    monkeypatch.setattr(norms, 'as_its_library_has_it', lambda kind: kind.forward)
    assert not has_affine(FrozenBatchNorm2d(CHANNELS))


def test_it_is_recognised_on_the_meta_device():
    from torchvision.ops import FrozenBatchNorm2d

    norms._FROZEN_FORWARDS.pop(FrozenBatchNorm2d, None)
    with torch.device('meta'):
        assert has_affine(torchvisions())


def test_a_gate_in_a_hook_counts_as_known():
    norm = nn.BatchNorm2d(CHANNELS)
    norm.register_forward_hook(lambda *_: None)
    assert has_affine(norm, known_hooks=1) and not has_affine(norm)
    norm.register_forward_hook(lambda *_: None)
    assert not has_affine(norm, known_hooks=1)
