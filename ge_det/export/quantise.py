"""A file in eight bits: onnxruntime's static quantisation, gates left as they are.

What a gate multiplies a map with follows from averages, whose rounding then meets the whole map.
So gates keep their float weights; convolutions and linear layers of backbone, neck and heads do
not.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ge_det.errors import UserError

if TYPE_CHECKING:
    import onnx

Feed = dict[str, np.ndarray]

WEIGHTED = ('Conv', 'Gemm', 'MatMul')
"""Operators whose weights go into eight bits."""


def quantise(file: Path, out: Path, feeds: Iterable[Feed], apart: Collection[str] = ()) -> int:
    """Write a file in eight bits.

    Args:
        file (Path): In float32.
        out (Path): To write.
        feeds (Iterable[dict]): Inputs of pictures as they will be, from which the ranges of the
            maps follow.
        apart (Collection[str]): Names of modules whose weights stay float, such as
            ``'backbone.layer1.0.se_layer'``. Defaults to none.

    Returns:
        int: How many layers are in eight bits.

    Raises:
        UserError: If there is no layer to put into eight bits.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._feeds = iter(feeds)

        def get_next(self) -> Feed | None:
            return next(self._feeds, None)

    layers = layers_of(onnx.load(str(file)), apart)
    if not layers:
        raise UserError(f'{file}: has no layers to put into eight bits')
    with quiet_logs():
        quantize_static(
            str(file),
            str(out),
            Reader(),
            op_types_to_quantize=list(WEIGHTED),
            nodes_to_quantize=layers,
            per_channel=True,
            reduce_range=True,  # Else sums overflow, silently, on CPUs without VNNI.
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    return len(layers)


def layers_of(model: onnx.ModelProto, apart: Collection[str] = ()) -> list[str]:
    """Names of the nodes with weights of their own that are not of the modules ``apart``.

    Weights are named after the parameter that they are. Constants are not, such as the matrices
    with which a gate averages a map of fixed size.
    """
    weights = {one.name for one in model.graph.initializer if one.name.endswith('.weight')}
    return [
        node.name
        for node in model.graph.node
        if node.op_type in WEIGHTED
        and weights.intersection(node.input[:2])
        and not any(f'.{module}.' in f'.{name}' for name in node.input for module in apart)
    ]


@contextmanager
def quiet_logs() -> Iterator[None]:
    """No warnings by loggers: torch misses a torchvision, onnxruntime advises other steps."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
