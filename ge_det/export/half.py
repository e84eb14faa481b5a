"""A file whose layers compute in half precision; what comes before and after them does not.

Boxes are computed in pixels, and in half precision a pixel far right is as good as its neighbour.
So only backbone, neck and the layers of heads are in half precision, with what lies between their
weights; inputs and outputs stay float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

from ge_det.export.quantise import WEIGHTED

_BORDERS = ('RoiAlign', 'NonMaxSuppression', 'TopK', 'ScatterND', 'ScatterElements', 'GatherND')
"""Operators that layers are not looked for behind."""


def to_half(file: Path, out: Path) -> int:
    """Write a file in half precision.

    Args:
        file (Path): In float32.
        out (Path): To write.

    Returns:
        int: How many nodes compute in half precision.
    """
    import onnx
    from onnxruntime.transformers import float16

    model = onnx.load(str(file))
    inside = between_weights(model)
    outside = [node.name for node in model.graph.node if node.name not in inside]
    half = float16.convert_float_to_float16(
        model, keep_io_types=True, op_block_list=[], node_block_list=outside
    )
    onnx.save(half, str(out))
    return len(inside)


def between_weights(model: onnx.ModelProto) -> set[str]:
    """Names of the nodes with weights and of all that lead to them from the input or a border."""
    weights = {one.name for one in model.graph.initializer}
    made_by = {name: node for node in model.graph.node for name in node.output}
    waiting = [
        node
        for node in model.graph.node
        if node.op_type in WEIGHTED and weights.intersection(node.input[:2])
    ]
    inside: set[str] = set()
    while waiting:
        node = waiting.pop()
        if node.name in inside or node.op_type in _BORDERS:
            continue
        inside.add(node.name)
        waiting += [made_by[name] for name in node.input if name in made_by]
    return inside
