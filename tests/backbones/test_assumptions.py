"""Every fast path against calling the modules, after whatever may be done to them.

The expected result is that of torch's own operators and of every module being called, which a
network does while it is traced.
"""

import pytest
import torch
from block_cases import BLOCKS
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.cnn import fuse_conv_bn
from module_changes import ACTIVATION, ANY, CONVOLUTION, NORMALISATION, changes_of
from torch import nn

from ge_det import AttentionResNet
from ge_det.backbones.units import FusedBottleneck, GatedBasicBlock

# The layers of these are those of all.
KINDS = ('se', 'sge', 'sp-se', 'rg-se-2', 'ge-theta_minus-8', 'ge-theta-global', 'ge-theta_plus-4')
# And so are the ways from these gates to the end of a unit.
ENDS = ('se', 'sge', 'ge-theta_minus-8', 'ge-theta_plus-4')
NAMES = list(CONVOLUTION | NORMALISATION | ACTIVATION | ANY)


# Of few values in a batch normalisation, and of what torch deprecates.
quietly = pytest.mark.filterwarnings('ignore')


def random_unit(name, training=True, kind=FusedBottleneck):
    """A residual unit of 16 channels, in float64, with random weights and statistics."""
    partial = BLOCKS[name]
    cfg = dict(type=partial.func, **partial.keywords)
    position = 'after_conv3' if kind is FusedBottleneck else 'after_conv2'
    plugins = [dict(cfg=cfg, position=position)]
    unit = kind(16, 16 // kind.expansion, plugins=plugins).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in (*unit.parameters(), *unit.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.randn(tensor.shape, generator=generator) / 2)
        for key, tensor in unit.named_buffers():
            if key.endswith('running_var'):
                tensor.abs_().add_(0.5)
    return unit.train(training)


def targets(unit):
    """The layers that fast paths look into: of the unit's end, and of the block."""
    inside = ('conv3', 'bn3', 'relu', *unit.last_plugins())
    return [name for name, _ in unit.named_modules() if name.split('.')[0] in inside]


def changed(block, training, changes):
    """A random unit after changes (name of the layer, name of the change)."""
    unit = random_unit(block, training)
    torch.manual_seed(4)
    for target, name in changes:
        parent, _, attribute = target.rpartition('.')
        layer = unit.get_submodule(target)
        other = changes_of(layer)[name](layer)
        setattr(unit.get_submodule(parent), attribute, other)
    return unit


def run(unit, x):
    """Output, gradients and the state after it; or the kind of error."""
    torch.manual_seed(3)
    unit.zero_grad()
    x = x.clone().requires_grad_()
    try:
        out = unit(x)
    except (RuntimeError, ValueError):
        return None
    generator = torch.Generator().manual_seed(5)
    out.backward(torch.randn(out.shape, generator=generator, dtype=out.dtype))
    grads = [x.grad, *(p.grad for p in unit.parameters())]
    return [out.detach(), *grads, *unit.state_dict().values()]


def assert_equals_modules(unit, called, x):
    """Whether ``unit`` runs; it does what ``called`` does, which is the same but called."""
    actual = run(unit, x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.jit, 'is_tracing', lambda: True)
        expected = run(called, x)
    assert (actual is None) == (expected is None)
    for a, b in zip(actual or (), expected or (), strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            scale = 1 + b.detach().abs().max().item()
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9 * scale)
    return actual is not None


def images(size, memory_format=torch.contiguous_format):
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 16, *size, generator=generator, dtype=torch.float64)
    return x.contiguous(memory_format=memory_format)


def cases(name):
    """Blocks and layers of their units that a change makes sense for."""
    for block in KINDS:
        unit = random_unit(block)
        for target in targets(unit):
            is_end = '.' not in target
            if name in changes_of(unit.get_submodule(target)) and (block in ENDS or not is_end):
                yield block, target


@quietly
@pytest.mark.parametrize('name', NAMES)
def test_each_assumption_set_wrong(name):
    ran = []
    for block, target in cases(name):
        for training in (True, False):
            twins = [changed(block, training, [(target, name)]) for _ in range(2)]
            ran.append(assert_equals_modules(*twins, images((9, 7))))
    assert any(ran)


@st.composite
def changes(draw):
    """Arguments of :func:`changed`."""
    block = draw(st.sampled_from(list(BLOCKS)))
    unit, chosen = random_unit(block), []
    for target in draw(st.lists(st.sampled_from(targets(unit)), max_size=4, unique=True)):
        names = list(changes_of(unit.get_submodule(target)))
        if names:
            chosen.append((target, draw(st.sampled_from(names))))
    return block, draw(st.booleans()), chosen


@quietly
@settings(max_examples=80, deadline=None, database=None)
@given(
    arguments=changes(),
    size=st.tuples(st.integers(1, 17), st.integers(1, 17)),
    memory_format=st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_any_assumptions_set_wrong_together(arguments, size, memory_format):
    twins = [changed(*arguments) for _ in range(2)]
    assert_equals_modules(*twins, images(size, memory_format))


@quietly
@pytest.mark.parametrize('kind', [FusedBottleneck, GatedBasicBlock])
@pytest.mark.parametrize('block', BLOCKS)
def test_what_mmcv_fuses_runs_fused_and_the_same(block, kind):
    unit = random_unit(block, training=False, kind=kind)
    x = images((9, 7))
    expected = run(unit, x)[0]
    twins = [fuse_conv_bn(random_unit(block, training=False, kind=kind)) for _ in range(2)]
    assert twins[0].why_not_fused() is None
    assert not any(isinstance(m, nn.BatchNorm2d) for m in twins[0].modules()) or 'sp-se' in block
    torch.testing.assert_close(run(twins[0], x)[0], expected, rtol=1e-9, atol=1e-9)
    assert_equals_modules(*twins, x)


def test_a_fused_network_says_what_it_does():
    network = AttentionResNet(50, dict(type='ge_det.SqueezeExcite', ratio=4), base_channels=8)
    plan = fuse_conv_bn(network.eval()).execution_plan()
    assert {unit.runs for unit in plan} == {'fused'}
    assert plan[0].why.startswith('no normalisation; gate from averages of its input')
