"""Look at a pickle before torch reads it: which calls it makes, and how much comes of them.

torch's safe reader refuses code. It does not refuse a call such as ``bytearray(6_000_000_000)``, a
key whose hash takes hours, or a tensor that claims more than its storage. Here the pickle's own
small machine runs over stand-ins for the values and nothing is made, so every call is seen with its
arguments before it happens.
"""

from __future__ import annotations

import pickletools
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from .allowed import NAMES, call
from .stand_ins import BUFFER
from .values import Budget, Made, Name, Refused, Tuple, check_key

# Of younger pickles. torch refuses them, but whoever reads why wants to know what it would call.
_SKIPPED = ('PROTO', 'FRAME', 'MEMOIZE')
_CONSTANTS = dict(NONE=None, NEWTRUE=True, NEWFALSE=False)
_LITERALS = (
    'BININT',
    'BININT1',
    'BININT2',
    'LONG1',
    'BINFLOAT',
    'BINUNICODE',
    'SHORT_BINUNICODE',
    'SHORT_BINSTRING',
)
_EMPTY = dict(EMPTY_LIST='list', EMPTY_DICT='dict', EMPTY_SET='set')
_TUPLES = dict(EMPTY_TUPLE=0, TUPLE1=1, TUPLE2=2, TUPLE3=3)
_CALL = 10  # A call takes torch as long as so many other steps.
_DICTS = ('dict', 'OrderedDict', 'Counter')
# What a state may be given to. Only an OrderedDict is real, and gets attributes.
_BUILT = ('OrderedDict', 'dtype', 'array', 'buffer')


def look_through(file: BinaryIO, budget: Budget) -> Any:
    """Follow one pickle to its end and check all it would do.

    Args:
        file (BinaryIO): Stands at the pickle's first byte, and behind it afterwards.
        budget (Budget): What the file may come to; the storages are asked of it.

    Returns:
        Any: A stand-in for the pickle's value.

    Raises:
        Refused: If it would do what plain data has no need of.
        Exception: Whatever a damaged pickle makes of it.
    """
    return _Machine(budget).run(file)


class _Machine:
    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.last_texts: list[str] = []
        self.kinds: dict[str, str] = {}  # Of storages, by their keys.

    def run(self, file: BinaryIO) -> Any:
        argument: Any
        steps = pickletools.genops(file)
        for operation, argument, _ in steps:
            self.budget.count_steps()
            name = operation.name
            if name in _LITERALS:
                self._literal(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name in ('BINPUT', 'LONG_BINPUT'):
                self.memo[argument] = self.stack[-1]
            elif name in ('BINGET', 'LONG_BINGET'):
                self.stack.append(self.memo[argument])
            elif name in _TUPLES:
                self.stack.append(Tuple(self._pop(_TUPLES[name])))
            elif name in _EMPTY:
                self.stack.append(Made(_EMPTY[name]))
            elif name in _STEPS:
                _STEPS[name](self, argument)
            elif name == 'STOP':
                return self.stack.pop()
            elif name not in _SKIPPED:
                self._no_torch_file(name, steps)
        raise EOFError('the pickle has no end')

    def _literal(self, value: Any) -> None:
        if type(value) is int:
            self.budget.count_integer(value)
        elif isinstance(value, str):
            self.last_texts = [*self.last_texts[-1:], value]
        self.stack.append(value)

    def _no_torch_file(self, name: str, rest: Iterator[Any]) -> None:
        """Refuse a pickle of another writer, by what it would call, which says more."""
        for operation, argument, _ in rest:
            if name == 'STACK_GLOBAL':
                raise Refused.code('.'.join(self.last_texts))
            name = operation.name
            if name == 'GLOBAL':
                self._global(argument)
            elif isinstance(argument, str):
                self.last_texts = [*self.last_texts[-1:], argument]
        raise Refused('not a readable checkpoint, a pickle that torch.save did not write')

    def _pop(self, count: int) -> list[Any]:
        if count > len(self.stack):
            raise ValueError('the pickle takes what is not there')
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def _pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def _mark(self, _: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def _tuple(self, _: Any) -> None:
        items = self._pop_mark()
        self.stack.append(Tuple(items))

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(' ')
        if (module, name) in NAME_MAPPING:
            module, name = NAME_MAPPING[module, name]
        path = f'{IMPORT_MAPPING.get(module, module)}.{name}'
        if path not in NAMES:
            raise Refused.code(path)
        self.stack.append(Name(path))

    def _reduce(self, _: Any) -> None:
        self.budget.count_steps(_CALL)
        function, arguments = self._pop(2)
        if not isinstance(function, Name) or not isinstance(arguments, Tuple):
            raise Refused('its pickle calls what is no function')
        self.stack.append(call(function, arguments.items, self.budget))

    def _new(self, _: Any) -> None:
        self.budget.count_steps(_CALL)
        kind, arguments = self._pop(2)
        if kind != Name(BUFFER) or not isinstance(arguments, Tuple) or arguments.items:
            raise Refused('its pickle makes an object of another kind than a log buffer')
        self.stack.append(Made('buffer'))

    def _build(self, _: Any) -> None:
        self.budget.count_steps(_CALL)
        (state,) = self._pop(1)
        if self._target(*_BUILT).kind == 'OrderedDict':
            if not isinstance(state, Made) or state.kind not in _DICTS:
                raise Refused('its pickle gives an OrderedDict what are no attributes')
            self.budget.count_steps(state.numel)
        for part in state.items if isinstance(state, Tuple) else ():
            self.budget.count_bytes(part.numel if isinstance(part, Made) else 0)

    def _append(self, _: Any) -> None:
        (item,) = self._pop(1)
        self._target('list').items.append(item)

    def _appends(self, _: Any) -> None:
        items = self._pop_mark()
        self._target('list').items.extend(items)

    def _set_item(self, _: Any) -> None:
        key, _value = self._pop(2)
        self._target(*_DICTS).numel += 1
        check_key(key)

    def _set_items(self, _: Any) -> None:
        items = self._pop_mark()
        self._target(*_DICTS).numel += len(items) // 2
        if len(items) % 2:
            raise ValueError('the pickle has a key without a value')
        for key in items[::2]:
            check_key(key)

    def _target(self, *kinds: str) -> Made:
        target = self.stack[-1]
        if not isinstance(target, Made) or target.kind not in kinds:
            raise Refused(f'its pickle fills what is none of {", ".join(kinds)}')
        return target

    def _persistent(self, _: Any) -> None:
        (identity,) = self._pop(1)
        if not isinstance(identity, Tuple) or len(identity.items) < 5:
            raise Refused('its pickle asks for a storage without name or size')
        kind, storage, key, location, numel, *view = identity.items
        if kind != 'storage' or not isinstance(storage, Name) or any(v is not None for v in view):
            raise Refused('its pickle asks for a storage of an unknown form')
        if not isinstance(key, str) or not isinstance(location, str) or type(numel) is not int:
            raise Refused('its pickle asks for a storage without name or size')
        # torch would give all of them the first type, whatever sizes the others come with.
        if self.kinds.setdefault(key, storage.path) != storage.path:
            raise Refused(f'its storage {key!r} is said to be of two types')
        self.stack.append(self.budget.storage(storage.path, key, numel))


_STEPS: dict[str, Callable[[_Machine, Any], None]] = dict(
    MARK=_Machine._mark,
    TUPLE=_Machine._tuple,
    GLOBAL=_Machine._global,
    REDUCE=_Machine._reduce,
    NEWOBJ=_Machine._new,
    BUILD=_Machine._build,
    APPEND=_Machine._append,
    APPENDS=_Machine._appends,
    SETITEM=_Machine._set_item,
    SETITEMS=_Machine._set_items,
    BINPERSID=_Machine._persistent,
)
