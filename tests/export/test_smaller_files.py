"""Half precision and eight bits: what is made smaller, and what stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnxruntime')

import onnx  # noqa: E402
from tiny_graphs import constant_detector, gated  # noqa: E402

from ge_det.errors import UserError  # noqa: E402
from ge_det.export.half import between_weights, to_half  # noqa: E402
from ge_det.export.metadata import Metadata, write_metadata  # noqa: E402
from ge_det.export.parity import deviation  # noqa: E402
from ge_det.export.quantise import layers_of, quantise  # noqa: E402
from ge_det.export.session import Session  # noqa: E402

GATE = 'backbone.layer1.0.se_layer'


@pytest.fixture(scope='module')
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gated(tmp_path_factory.mktemp('graph') / 'float.onnx')


def images(seed: int, size: tuple[int, int] = (16, 24)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(1, 3, *size)).astype(np.float32)


def feeds() -> Iterator[dict[str, np.ndarray]]:
    yield from (dict(images=images(seed)) for seed in range(4))


def kinds(file: Path) -> dict[str, int]:
    """Types of the weights by name."""
    return {one.name: one.data_type for one in onnx.load(str(file)).graph.initializer}


def test_gates_stay_in_float(graph: Path, tmp_path: Path) -> None:
    model = onnx.load(str(graph))
    assert layers_of(model) == ['stem', 'squeeze', 'expand', 'head']
    assert layers_of(model, [GATE]) == ['stem', 'head']
    assert layers_of(model, ['layer1.0.se_lay', 'ead', 'conv1.conv.w']) == layers_of(
        model
    )  # No part of a name.
    constant = onnx.load(str(graph))
    for one in (*constant.graph.initializer, constant.graph.node[-1]):
        if one.name == 'head.weight':  # Such as a matrix that a gate averages with.
            one.name = 'val_3'
        if one.name == 'head':
            one.input[1] = 'val_3'
    assert layers_of(constant, [GATE]) == ['stem']

    out = tmp_path / 'int8.onnx'
    assert quantise(graph, out, feeds(), [GATE]) == 2
    types = kinds(out)
    assert types[f'{GATE}.conv1.conv.weight'] == onnx.TensorProto.FLOAT
    eight = [name for name, kind in types.items() if kind == onnx.TensorProto.INT8]
    assert {name.removesuffix('_quantized') for name in eight} >= {
        'backbone.conv1.weight',
        'head.weight',
    }
    scales = next(name for name in types if name.startswith('head.weight') and 'scale' in name)
    sizes = {one.name: list(one.dims) for one in onnx.load(str(out)).graph.initializer}
    assert sizes[scales] == [4]  # One of each channel.

    expected = Session(graph).run(images(9))['level0']
    off = deviation(expected, Session(out).run(images(9))['level0'])
    assert 1e-5 < off < 0.05
    worse = tmp_path / 'all.onnx'
    assert quantise(graph, worse, feeds()) == 4
    other = Session(graph).run(images(9, (40, 24)))['level0']
    assert other.shape == Session(worse).run(images(9, (40, 24)))['level0'].shape


def test_nothing_to_put_into_eight_bits(tmp_path: Path) -> None:
    file = constant_detector(tmp_path / 'a.onnx', np.ones((2, 4)), np.ones(2), np.ones(2))
    with pytest.raises(UserError, match='no layers to put into eight bits'):
        quantise(file, tmp_path / 'b.onnx', feeds())


def test_half_precision_between_the_weights(graph: Path, tmp_path: Path) -> None:
    inside = between_weights(onnx.load(str(graph)))
    assert inside == {'stem', 'relu', 'mean', 'squeeze', 'expand', 'gate', 'scale', 'head'}
    out = tmp_path / 'half.onnx'
    assert to_half(graph, out) == 8
    assert set(kinds(out).values()) == {onnx.TensorProto.FLOAT16}
    made = Session(out).run(images(9))['level0']
    assert made.dtype == np.float32
    assert 1e-6 < deviation(Session(graph).run(images(9))['level0'], made) < 5e-3
    assert out.stat().st_size < graph.stat().st_size


def test_nothing_behind_a_border_is_in_half_precision(tmp_path: Path) -> None:
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    weight = onnx.numpy_helper.from_array(np.ones((2, 3, 1, 1), np.float32), 'w')
    few = onnx.numpy_helper.from_array(np.array([1]), 'few')
    nodes = [
        node('Relu', ['images'], ['a'], 'before'),
        node('TopK', ['a', 'few'], ['b', 'index'], 'best', axis=3),
        node('Relu', ['b'], ['c'], 'behind'),
        node('Conv', ['c', 'w'], ['level0'], 'layer'),
        node('Exp', ['level0'], ['out'], 'after'),
    ]
    shape = ['batch', 3, 'height', 'width']
    made = onnx.helper.make_graph(
        nodes,
        'border',
        [value('images', 1, shape)],
        [value('out', 1, ['batch', 2, 'height', 1])],
        [weight, few],
    )
    model = onnx.helper.make_model(
        made, opset_imports=[onnx.helper.make_opsetid('', 18)], ir_version=9
    )
    assert between_weights(model) == {'behind', 'layer'}


def test_a_session_runs_and_refuses(graph: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match='none.onnx: no such file'):
        Session(tmp_path / 'none.onnx')
    (tmp_path / 'text.onnx').write_text('x = 1')
    with pytest.raises(
        UserError, match='text.onnx: onnxruntime does not take it .*; `ge-det export` writes one'
    ):
        Session(tmp_path / 'text.onnx')
    boxes = np.array([[0, 0, 9, 9], [1, 1, 5, 5], [0, 0, 0, 0]])
    file = constant_detector(
        tmp_path / 'two.onnx', boxes, np.array([0.9, 0.4, 0]), np.array([1, 0, -1])
    )
    write_metadata(file, Metadata('detect'))
    (found,) = Session(file).detect(images(0))
    assert found.labels.tolist() == [1, 0]  # The last row holds nothing.
    assert found.boxes.tolist() == boxes[:2].tolist() and found.masks is None
    assert found.over(0.5).scores.tolist() == [pytest.approx(0.9)]
