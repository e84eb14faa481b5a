"""Small ONNX graphs made by hand, in a few milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def gated(file: Path, seed: int = 0) -> Path:
    """A convolution, a gate of its map by two of its own, and a head; any batch and size."""
    random = np.random.default_rng(seed)
    shapes = {
        'backbone.conv1.weight': (8, 3, 3, 3),
        'backbone.layer1.0.se_layer.conv1.conv.weight': (4, 8, 1, 1),
        'backbone.layer1.0.se_layer.conv2.conv.weight': (8, 4, 1, 1),
        'head.weight': (4, 8, 1, 1),
    }
    weights = [
        numpy_helper.from_array(random.normal(size=shape).astype(np.float32) / 3, name)
        for name, shape in shapes.items()
    ]
    stem, squeeze, expand, head = shapes
    node = helper.make_node
    nodes = [
        node('Conv', ['images', stem], ['map'], 'stem', pads=[1, 1, 1, 1]),
        node('Relu', ['map'], ['active'], 'relu'),
        node('GlobalAveragePool', ['active'], ['mean'], 'mean'),
        node('Conv', ['mean', squeeze], ['few'], 'squeeze'),
        node('Conv', ['few', expand], ['logits'], 'expand'),
        node('Sigmoid', ['logits'], ['gate'], 'gate'),
        node('Mul', ['active', 'gate'], ['gated'], 'scale'),
        node('Conv', ['gated', head], ['level0'], 'head'),
    ]
    axes = ['batch', None, 'height', 'width']
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        'gated',
        [value('images', TensorProto.FLOAT, ['batch', 3, 'height', 'width'])],
        [value('level0', TensorProto.FLOAT, [axes[0], 4, *axes[2:]])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(file))
    return file


def constant_detector(
    file: Path, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray
) -> Path:
    """One that finds the same in whatever picture, as exported detectors give it."""
    value = helper.make_tensor_value_info
    arrays = dict(
        boxes=boxes.astype(np.float32)[None],
        scores=scores.astype(np.float32)[None],
        labels=labels.astype(np.int64)[None],
    )
    kinds = dict(boxes=TensorProto.FLOAT, scores=TensorProto.FLOAT, labels=TensorProto.INT64)
    graph = helper.make_graph(
        [helper.make_node('Identity', [f'{name}_'], [name]) for name in arrays],
        'constant',
        [
            value('images', TensorProto.FLOAT, ['batch', 3, 'height', 'width']),
            value('sizes', TensorProto.INT64, ['batch', 2]),
        ],
        [value(name, kinds[name], array.shape) for name, array in arrays.items()],
        [numpy_helper.from_array(array, f'{name}_') for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9)
    onnx.save(model, str(file))
    return file
