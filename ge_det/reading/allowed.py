"""What the pickle of a file of weights may name and call, and with which arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from .stand_ins import BUFFER, NUMPY_FUNCTIONS, STATISTICS
from .values import Budget, Made, Name, Refused, Tuple, check_key, is_plain

STORAGES = {
    f'torch.{dtype_name}Storage': itemsize
    for dtype_name, itemsize in dict(
        Double=8, Float=4, Half=2, BFloat16=2, Long=8, Int=4, Short=2, Char=1, Byte=1, Bool=1,
        ComplexDouble=16, ComplexFloat=8,
    ).items()
} | {'torch.storage.UntypedStorage': 1}  # fmt: skip
_DTYPES = {
    f'torch.{name}': value.itemsize
    for name, value in vars(torch).items()
    if isinstance(value, torch.dtype) and not name.startswith('q')
}
_NO_TENSOR = 'it holds a {} tensor; save dense tensors'
_NO_SHAPE = 'a tensor in it has no sound shape'


def call(function: Name, arguments: Sequence[Any], budget: Budget) -> Made | str:
    """A stand-in for what a call gives.

    Raises:
        Refused: If the call is not one that plain data needs.
    """
    check = _CALLS.get(function.path)
    if check is None:
        raise Refused.code(function.path)
    return check(arguments, budget)


def _of_plain(kind: str, most: int) -> Callable[[Sequence[Any], Budget], Made]:
    """A check of a call that takes a few numbers or texts."""

    def check(arguments: Sequence[Any], budget: Budget) -> Made:
        if len(arguments) > most or not all(map(is_plain, arguments)):
            raise Refused(f'it makes a {kind} of something else than plain values')
        return Made(kind)

    return check


def _ordered_dict(arguments: Sequence[Any], budget: Budget) -> Made:
    count = 0
    for pairs in arguments:  # Python 2 wrote them so.
        count += len(_items_of(pairs))
        budget.count_steps(count)
        for pair in _items_of(pairs):
            check_key(next(iter(_items_of(pair)), None))
    return Made('OrderedDict', numel=count)


def _counter(arguments: Sequence[Any], budget: Budget) -> Made:
    if any(not isinstance(a, Made) or a.kind != 'dict' for a in arguments) or len(arguments) > 1:
        raise Refused('it makes a Counter of something else than a dict')
    count = sum(counts.numel for counts in arguments)
    budget.count_steps(count)
    return Made('Counter', numel=count)


def _set(arguments: Sequence[Any], budget: Budget) -> Made:
    for items in arguments:
        budget.count_steps(len(_items_of(items)))
        for item in _items_of(items):
            check_key(item)
    return Made('set')


def _items_of(value: Any) -> Sequence[Any]:
    if isinstance(value, Tuple):
        return value.items
    if isinstance(value, Made) and value.kind == 'list':
        return value.items
    raise Refused('it makes a collection of something else than a list')


def _bytes(arguments: Sequence[Any], budget: Budget) -> Made:
    # Other codecs take a time that grows with the square of the length.
    if len(arguments) != 2 or not isinstance(arguments[0], str) or arguments[1] != 'latin1':
        raise Refused.code('_codecs.encode')
    budget.count_bytes(len(arguments[0]))
    return Made('bytes', numel=len(arguments[0]))


def _tensor(arguments: Sequence[Any], budget: Budget) -> Made:
    if not 4 <= len(arguments) <= 6:
        raise Refused(_NO_TENSOR.format('conjugated or negated'))
    storage = arguments[0]
    return _view(arguments, storage.itemsize if isinstance(storage, Made) else 0)


def _tensor_with_dtype(arguments: Sequence[Any], budget: Budget) -> Made:
    """Of a dtype that has no type of storage, and so comes beside one of bytes."""
    dtype = arguments[6] if len(arguments) == 7 else None
    return _view(arguments, _DTYPES.get(dtype.path, 0) if isinstance(dtype, Name) else 0)


def _view(arguments: Sequence[Any], itemsize: int) -> Made:
    # No memory of its own: how much it unfolds to is counted once it is there.
    storage, offset, size, stride = arguments[:4]
    sizes, strides = _integers(size), _integers(stride)
    is_storage = isinstance(storage, Made) and storage.kind == 'storage' and itemsize
    if not is_storage or type(offset) is not int or offset < 0 or len(sizes) != len(strides):
        raise Refused(_NO_SHAPE)
    if 0 not in sizes:
        last = offset + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True))
        if (last + 1) * itemsize > storage.numel * storage.itemsize:
            raise Refused('a tensor in it reaches beyond its storage')
    return Made('tensor')


def _integers(value: Any) -> tuple[int, ...]:
    items = value.items if isinstance(value, Tuple) else (None,)
    if len(items) > 64 or any(type(item) is not int or item < 0 for item in items):
        raise Refused(_NO_SHAPE)
    return tuple(items)


def _parameter(arguments: Sequence[Any], budget: Budget) -> Made:
    if not arguments or not isinstance(arguments[0], Made) or arguments[0].kind != 'tensor':
        raise Refused('a parameter in it has no tensor')
    return Made('tensor')


def _statistic(arguments: Sequence[Any], budget: Budget) -> str:
    """``getattr`` of a log buffer; trusting it would lead from any known type to all it has."""
    owner, name = arguments if len(arguments) == 2 else (None, None)
    if owner != Name(BUFFER) or name not in STATISTICS:
        what = owner.path if isinstance(owner, Name) else 'an object'
        raise Refused.code(f'getattr({what}, {name!r})')
    return str(name)


def _numbers(kind: str) -> Callable[[Sequence[Any], Budget], Made]:
    # The stand-ins themselves check what numpy would be asked for.
    return lambda arguments, budget: Made(kind)


def _no_tensor(kind: str) -> Callable[[Sequence[Any], Budget], Made]:
    def check(arguments: Sequence[Any], budget: Budget) -> Made:
        raise Refused(_NO_TENSOR.format(kind))

    return check


_CALLS: dict[str, Callable[[Sequence[Any], Budget], Made | str]] = {
    'collections.OrderedDict': _ordered_dict,
    'collections.Counter': _counter,
    'builtins.set': _set,
    'builtins.complex': _of_plain('complex', 2),
    'builtins.getattr': _statistic,
    '_codecs.encode': _bytes,
    'builtins.bytes': _of_plain('bytes', 0),
    'torch.Size': lambda arguments, budget: Made('size', list(map(_integers, arguments))),
    'torch.device': _of_plain('device', 2),
    'torch._utils._rebuild_tensor': _tensor,
    'torch._utils._rebuild_tensor_v2': _tensor,
    'torch._utils._rebuild_tensor_v3': _tensor_with_dtype,
    'torch._utils._rebuild_parameter': _parameter,
    'torch.serialization._get_layout': _no_tensor('sparse'),
    'torch._utils._rebuild_sparse_tensor': _no_tensor('sparse'),
    'torch._utils._rebuild_qtensor': _no_tensor('quantized'),
    'torch._utils._rebuild_nested_tensor': _no_tensor('nested'),
    'torch._utils._rebuild_meta_tensor_no_storage': _no_tensor('contentless'),
    **dict.fromkeys(NUMPY_FUNCTIONS, _numbers('array')),
    'numpy.dtype': _numbers('dtype'),
}
# Those that are called, and constants.
NAMES = frozenset([
    *_CALLS, *STORAGES, *_DTYPES, BUFFER, 'numpy.ndarray',
    'torch.per_tensor_affine', 'torch.per_channel_affine', 'torch.QInt8Storage',
    'torch.QUInt8Storage', 'torch.QInt32Storage',
])  # fmt: skip
