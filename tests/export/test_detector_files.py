"""Whole detectors as files find in other runtimes what they find in PyTorch."""

import onnx
import onnxruntime
import pytest
import torch
from narrow_detectors import detector, padded, pictures

from ge_det.export.detector import TRANSLATIONS, ExportableDetector
from ge_det.export.to_onnx import write_onnx

CASES = {
    'as exported': [(96, 128), (96, 128)],
    'another size': [(160, 96)],
    'a single position': [(64, 64)],
    'odd sizes and another batch': [(257, 90), (200, 331), (257, 331)],
}
"""Sizes of the pictures; a batch is as large as the largest sides among them."""


def write(kind, attention, file, dynamic=True):
    network = ExportableDetector(detector(kind, attention=attention))
    write_onnx(
        network,
        pictures((2, 96, 128)),
        file,
        inputs=dict(sizes=torch.tensor([[96, 128], [80, 101]])),
        outputs=network.names,
        dynamic=dynamic,
        translations=TRANSLATIONS,
    )
    return network, file


# Each takes some twenty seconds to write.
WRITTEN = (('mask-rcnn', 'sge'), ('retinanet', 'ge-theta-plus'))


@pytest.fixture(scope='module', params=WRITTEN, ids=' '.join)
def written(request, tmp_path_factory):
    return write(*request.param, tmp_path_factory.mktemp('written') / 'detector.onnx')


def in_onnxruntime(file):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=['CPUExecutionProvider'])
    return lambda inputs: session.run(None, inputs)


def in_openvino(file):
    openvino = pytest.importorskip('openvino')
    exact = dict(INFERENCE_NUM_THREADS=1, INFERENCE_PRECISION_HINT='f32')
    compiled = openvino.Core().compile_model(file, 'CPU', exact)
    return lambda inputs: list(compiled(inputs).values())


def assert_same(network, run, sizes):
    sizes = torch.tensor(sizes)
    height, width = sizes.amax(0).tolist()
    images = padded(pictures((len(sizes), height, width), seed=height), sizes)
    with torch.no_grad():
        expected = dict(zip(network.names, network(images, sizes), strict=True))
    found = run(dict(images=images.numpy(), sizes=sizes.numpy()))
    found = {name: torch.from_numpy(one) for name, one in zip(network.names, found, strict=True)}
    assert torch.equal(found['labels'], expected['labels'])
    torch.testing.assert_close(found['boxes'], expected['boxes'], rtol=0, atol=5e-3)
    torch.testing.assert_close(found['scores'], expected['scores'], rtol=0, atol=5e-5)
    if 'masks' in found:
        torch.testing.assert_close(found['masks'], expected['masks'], rtol=0, atol=5e-4)
    return (found['labels'] >= 0).sum(1)


@pytest.mark.parametrize('runtime', (in_onnxruntime, in_openvino))
def test_a_file_finds_the_same_at_any_size_and_batch(written, runtime):
    network, file = written
    run = runtime(str(file))
    counts = torch.cat([assert_same(network, run, sizes) for sizes in CASES.values()])
    assert (counts > 0).all() and len(set(counts.tolist())) > 1


def test_a_file_has_standard_operators_and_named_axes(written):
    network, file = written
    model = onnx.load(file)
    assert not model.functions and {node.domain for node in model.graph.node} == {''}
    inputs = {one.name: one.type.tensor_type for one in model.graph.input}
    axes = {
        name: [dim.dim_param or dim.dim_value for dim in one.shape.dim]
        for name, one in inputs.items()
    }
    assert axes == dict(images=['batch', 3, 'height', 'width'], sizes=['batch', 2])
    assert [one.name for one in model.graph.output] == list(network.names)


def test_a_file_may_be_for_one_size(tmp_path):
    network, file = write('cascade-rcnn', 'rg-se', tmp_path / 'detector.onnx', dynamic=False)
    sizes = [(96, 128), (80, 101)]
    assert (assert_same(network, in_onnxruntime(str(file)), sizes) > 0).all()
