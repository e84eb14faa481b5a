"""Fused units in the graphs of torch.compile, tracing, export and symbolic tracing."""

import pytest
import torch
from gated_units import images, pair

pytestmark = pytest.mark.usefixtures('peers')


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
