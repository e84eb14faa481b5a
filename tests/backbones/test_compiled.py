"""Units under ``torch.compile`` and ``torch.export``: one graph, fused or torch's own operators."""

import pytest
import torch
from random_networks import randomise
from torch import nn
from torch._dynamo.backends.debugging import aot_eager

from ge_det import AttentionResNet
from ge_det.catalogue import NAMES, attention_config

BLOCKS = [name for name in NAMES if name != 'none']
MODES = {
    f'{"train" if training else "eval"}-{"bf16" if half else "fp32"}': (training, half)
    for training in (True, False)
    for half in (True, False)
}


def unit_of(name, training):
    """A residual unit of 32 channels with small random weights."""
    torch.manual_seed(0)
    attention = attention_config(name, 32)
    if name != 'sge' and 'minus' not in name:
        attention['ratio'] = 4
    one = dict(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))
    network = AttentionResNet(50, attention, base_channels=8, norm_eval=False, **one)
    return randomise(network).layer1[1].train(training)


def images():
    return torch.randn(2, 32, 16, 12, generator=torch.Generator().manual_seed(1))


def ends(graph):
    """What ends the units of a graph, with the map that they add."""
    fused = (torch.ops.ge_det.gated_residual, torch.ops.ge_det.folded)
    targets = (*fused, *(operator.default for operator in fused))
    return [n for n in graph.graph.nodes if n.target in targets and n.args[1] is not None]


def assert_compiles_fused(name, mode):
    training, half = MODES[mode]
    unit = unit_of(name, training)
    assert unit.why_not_fused() is None
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    compiled = torch.compile(unit, backend=backend, fullgraph=True)
    with torch.autocast('cpu', torch.bfloat16, enabled=half):
        out = compiled(images())
        expected = unit(images())
    assert len(graphs) == 1 and len(ends(graphs[0])) == 1
    # Two times batch statistics: the second normalises with the same.
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize('index, name', list(enumerate(BLOCKS)), ids=BLOCKS)
def test_every_block_compiles_into_one_graph_and_runs_fused(index, name):
    """In two modes each, so that every mode and every pair of them occurs."""
    modes = list(MODES)
    assert_compiles_fused(name, modes[index % 2])
    assert_compiles_fused(name, modes[3 - index % 2])


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('name', ['se', 'sge', 'ge-theta-plus-e8'])
def test_in_all_modes(name, mode):
    assert_compiles_fused(name, mode)


@pytest.mark.parametrize('name', ['se', 'sge', 'ge-theta-e8'])
def test_gradients_of_a_compiled_unit(name):
    results = []
    for compiled in (False, True):
        unit, x = unit_of(name, training=True).double(), images().double().requires_grad_()
        torch.compiler.reset()
        call = torch.compile(unit, backend=aot_eager, fullgraph=True) if compiled else unit
        out = call(x)
        out.backward(out.detach().cos())
        results.append([out, x.grad, *(p.grad for p in unit.parameters())])
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, atol=1e-8, rtol=1e-8)


def test_a_fused_unit_that_was_changed_compiles():
    """Batch normalisation that mmcv fused, and one that is called."""
    from mmcv.cnn import fuse_conv_bn

    changed = [fuse_conv_bn(unit_of('ge-theta-e2', training=False)), unit_of('se', training=False)]
    changed[1].bn3 = nn.GroupNorm(4, 32)
    for unit in changed:
        torch.compiler.reset()
        compiled = torch.compile(unit, backend='eager', fullgraph=True)
        torch.testing.assert_close(compiled(images()), unit(images()))


@pytest.mark.parametrize('strict', [True, False], ids=['strict', 'lenient'])
def test_export_writes_down_torchs_own_operators_only(strict):
    unit, x = unit_of('ge-theta-e2', training=False), images()
    program = torch.export.export(unit, (x,), strict=strict)
    assert not [node for node in program.graph.nodes if 'ge_det' in str(node.target)]
    torch.testing.assert_close(program.module()(x), unit(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('name', ['ge-theta-e8', 'ge-theta-plus', 'sp-se', 'rg-se'])
def test_export_leaves_the_batch_open(name):
    """A gate with a normalisation of its own, from a batch of 2 to one of 9."""
    unit, batch = unit_of(name, training=False), torch.export.Dim('batch', min=1, max=32)
    program = torch.export.export(unit, (images(),), dynamic_shapes=({0: batch},))
    x = torch.randn(9, *images().shape[1:])
    torch.testing.assert_close(program.module()(x), unit(x), atol=1e-5, rtol=1e-5)
