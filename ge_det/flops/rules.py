"""FLOPs of single operations: what MMEngine's counter leaves out, in its form of a "handle".

- A multiply-add is one FLOP, as in the papers and in MMEngine. Biases are not counted.
- An element-wise operation is one FLOP for each element of its result; interpolation too.
- A mean, a sum or a pooling is one for each element it reads, a standard deviation three. Average
  pooling with overlapping windows reads elements more than once. Adaptive pooling and max pooling,
  which only compares, count each element of the map once; pooling to the map's own size is free.
- Batch normalisation is two for each element, as in evaluation.
- Views, copies and arithmetic on integers are free.

Convolutions, linear layers, matrix products, normalisation and interpolation follow MMEngine's own
rules, which are those above.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

from mmengine.analysis.jit_handles import get_shape

Handle = Callable[[list[Any], list[Any]], 'Counter[str]']


def _numel(value: Any) -> int:
    """Number of elements, 0 for integers and for what is no tensor of known size."""
    shape = get_shape(value)
    if shape is None or value.type().scalarType() not in ('Float', 'Double', 'Half', 'BFloat16'):
        return 0
    return prod(shape)


def _written(name: str, inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    return Counter({name: _numel(outputs[0])})


def _read(name: str, times: int, inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    return Counter({name: times * _numel(inputs[0])})


def _adaptive(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    same = get_shape(inputs[0]) == get_shape(outputs[0])
    return Counter({'adaptive_avg_pool2d': 0 if same else _numel(inputs[0])})


def _windows(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """Elements inside the windows of an average pooling; padding is not read."""
    kernel, stride, padding = (
        [item.toIValue() for item in argument.node().inputs()] for argument in inputs[1:4]
    )
    size, cells = get_shape(inputs[0]), get_shape(outputs[0])
    if not _numel(outputs[0]):
        return Counter()
    read = prod(cells[:-2])
    for axis in (0, 1):
        k, p = kernel[axis], padding[axis]
        starts = [cell * (stride or kernel)[axis] - p for cell in range(cells[axis - 2])]
        read *= sum(min(start + k, size[axis - 2]) - max(start, 0) for start in starts)
    return Counter({'avg_pool2d': read})


_ELEMENTWISE = (
    *('add', 'sub', 'rsub', 'mul', 'div', 'neg', 'abs', 'exp', 'log', 'sqrt', 'rsqrt', 'pow'),
    *('square', 'reciprocal', 'maximum', 'minimum', 'sigmoid', 'tanh', 'relu', 'relu6', 'silu'),
    *('gelu', 'elu', 'leaky_relu', 'hardsigmoid', 'hardswish', 'hardtanh', 'softplus'),
)
_FREE = (
    *('unflatten', 'expand_as', 'view_as', 'reshape_as', 'alias', 'clone', 'repeat'),
    *('repeat_interleave', 'index_select'),
)

RULES: dict[str, Handle | None] = {
    **{
        f'aten::{name}{in_place}': partial(_written, name)
        for name in _ELEMENTWISE
        for in_place in ('', '_')
    },
    **{f'aten::{name}': partial(_read, name, 1) for name in ('mean', 'sum', 'max_pool2d')},
    **{f'aten::{name}': partial(_read, name, 3) for name in ('std', 'var')},
    'aten::adaptive_avg_pool2d': _adaptive,
    'aten::avg_pool2d': _windows,
    **{f'aten::{name}': None for name in _FREE},
}
"""By the name of the operation in the trace; None if it is free."""
