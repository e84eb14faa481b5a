"""Files under the name of a checkpoint that want to run code, fill the memory, or are damaged.

Each maker writes one to a path, given a good detector checkpoint and the path of a canary, a file
that is there afterwards only if code out of the checkpoint has run.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

Maker = Callable[[Path, Path, Path], object]

CODE: dict[str, Maker] = {}
MEMORY: dict[str, Maker] = {}
DAMAGE: dict[str, Maker] = {}
NUMBERS: dict[str, Maker] = {}
FORM: dict[str, Maker] = {}
OTHER_MODEL: dict[str, Maker] = {}
"""Refused at every entry, in one line."""

TEXT: dict[str, Maker] = {}
SOUND: dict[str, Maker] = {}
"""Taken or refused in one line, and nothing of the text runs; taken everywhere."""

KINDS = {
    'code in a pickle': CODE,
    'code in the text of meta': TEXT,
    'memory and time': MEMORY,
    'damaged': DAMAGE,
    'numbers': NUMBERS,
    'no checkpoint': FORM,
    'of another model': OTHER_MODEL,
    'sound': SOUND,
}


def _add(kind: dict[str, Maker], name: str) -> Callable[[Maker], Maker]:
    def register(maker: Maker) -> Maker:
        kind[name] = maker
        return maker

    return register


def load(good: Path) -> dict[str, Any]:
    """What is in a checkpoint of our own making."""
    content: dict[str, Any] = torch.load(good, weights_only=False, map_location='cpu')
    return content


# ---- code ---------------------------------------------------------------------------------------


class _Calls:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def _named(module: str, name: str, *arguments: str) -> bytes:
    """A pickle that calls a global by name, also one that is not imported here."""
    parts = [b'\x80\x02', f'c{module}\n{name}\n'.encode(), b'(']
    for argument in arguments:
        text = argument.encode()
        parts.append(b'X' + struct.pack('<I', len(text)) + text)
    return b''.join([*parts, b'tR.'])


def _code(canary: Path) -> str:
    return f'open({str(canary)!r}, "w").close()'


_CALLS: dict[str, tuple[str, str, Callable[[Path], tuple[str, ...]]]] = {
    'os.mkdir': ('os', 'mkdir', lambda c: (str(c),)),
    'posix.system': ('posix', 'system', lambda c: (f'touch {c}',)),
    'builtins.eval': ('builtins', 'eval', lambda c: (_code(c),)),
    'builtins.exec': ('builtins', 'exec', lambda c: (_code(c),)),
    'builtins.getattr': ('builtins', 'getattr', lambda c: ('os', 'system')),
    'Config.fromstring': ('mmengine.config', 'Config.fromstring', lambda c: (_code(c), '.py')),
    'Config.fromfile': ('mmengine.config', 'Config.fromfile', lambda c: (str(c) + '.py',)),
    'torch.load': ('torch', 'load', lambda c: (str(c),)),
    '_load_from_bytes': ('torch.storage', '_load_from_bytes', lambda c: (str(c),)),
    'numpy.load': ('numpy', 'load', lambda c: (str(c),)),
    'runpy.run_path': ('runpy', 'run_path', lambda c: (str(c),)),
    'subprocess.Popen': ('subprocess', 'Popen', lambda c: ('touch', str(c))),
    'functools.partial': ('functools', 'partial', lambda c: ('os.system',)),
    'operator.attrgetter': ('operator', 'attrgetter', lambda c: ('__class__',)),
    'importlib.import_module': ('importlib', 'import_module', lambda c: ('antigravity',)),
    'ge_det.cli.main.run': ('ge_det.cli.main', 'run', lambda c: ('doctor',)),
    'HistoryBuffer.register_statistics': (
        'mmengine.logging.history_buffer',
        'HistoryBuffer.register_statistics',
        lambda c: (str(c),),
    ),
}


def _add_calls() -> None:
    for name, (module, function, arguments) in _CALLS.items():

        def bare(path: Path, good: Path, canary: Path, call: Any = (module, function, arguments)):  # type: ignore[no-untyped-def]
            path.write_bytes(_named(call[0], call[1], *call[2](canary)))

        def inside(path: Path, good: Path, canary: Path, call: Any = (module, function, arguments)):  # type: ignore[no-untyped-def]
            archive(path, _named(call[0], call[1], *call[2](canary)))

        CODE[f'{name}, bare pickle'] = bare
        CODE[f'{name}, archive'] = inside


_add_calls()


@_add(CODE, 'a call inside meta of a good file')
def _call_in_meta(path: Path, good: Path, canary: Path) -> None:
    content = load(good)
    content['meta']['more'] = _Calls(os.mkdir, str(canary))
    torch.save(content, path)


@_add(CODE, 'a call inside the optimizer of a good file')
def _call_in_optimizer(path: Path, good: Path, canary: Path) -> None:
    content = load(good)
    content['optimizer']['more'] = _Calls(os.mkdir, str(canary))
    torch.save(content, path)


@_add(CODE, 'eight bytes as an object')
def _object_array(path: Path, good: Path, canary: Path) -> None:
    import numpy as np

    content = load(good)
    content['meta']['more'] = _Calls(np.ndarray, (1,), np.dtype('O'), b'AAAAAAAA')
    torch.save(content, path)


@_add(CODE, 'an array of objects')
def _array_of_objects(path: Path, good: Path, canary: Path) -> None:
    import numpy as np

    content = load(good)
    content['meta']['more'] = np.array([1, 'two', None], dtype=object)
    torch.save(content, path)


@_add(TEXT, 'meta config, cfg and more')
def _config_text(path: Path, good: Path, canary: Path) -> None:
    content = load(good)
    text = f'{content["meta"].get("cfg", "")}\n{_code(canary)}\n'
    content['meta'].update({name: text for name in ('config', 'cfg', 'config_text', 'env_info')})
    torch.save(content, path)


@_add(TEXT, 'template words in class names')
def _template_words(path: Path, good: Path, canary: Path) -> None:
    content = load(good)
    content['meta'].setdefault('dataset_meta', {})['classes'] = ('{{ ' + _code(canary) + ' }}',)
    torch.save(content, path)


# ---- memory and time ----------------------------------------------------------------------------


def archive(path: Path, pickled: bytes, compressed: bool = False, **members: bytes) -> None:
    """A file as ``torch.save`` writes it, of a pickle and storages of one's own."""
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, 'w', method) as file:
        file.writestr('archive/data.pkl', pickled)
        file.writestr('archive/version', b'3\n')
        file.writestr('archive/byteorder', b'little')
        for name, content in members.items():
            file.writestr(f'archive/data/{name.removeprefix("_")}', content)


def _tensor(count: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """A pickle of a state dict with one tensor, whatever its storage holds."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if value is storage:
                return 'storage', torch.FloatStorage, '0', 'cpu', count
            return None

    storage = object()
    rebuilt = _Calls(torch._utils._rebuild_tensor_v2, storage, 0, size, stride, False, {})
    buffer = io.BytesIO()
    Pickler(buffer, 2).dump({'state_dict': {'layer1.0.conv1.weight': rebuilt}})
    return buffer.getvalue()


@_add(MEMORY, 'a tensor of zero strides')
def _zero_strides(path: Path, good: Path, canary: Path) -> None:
    archive(path, _tensor(1, (200000, 200000), (0, 0)), _0=bytes(4))


@_add(MEMORY, 'a storage larger than its member')
def _declared_huge(path: Path, good: Path, canary: Path) -> None:
    archive(path, _tensor(1 << 40, (1 << 40,), (1,)), _0=bytes(4))


@_add(MEMORY, 'compressed members')
def _compressed(path: Path, good: Path, canary: Path) -> None:
    if not path.exists():
        archive(path, _tensor(1 << 28, (1 << 28,), (1,)), compressed=True, _0=bytes(1 << 30))


@_add(MEMORY, 'bytearray(6e9)')
def _bytearray(path: Path, good: Path, canary: Path) -> None:
    length = (6 * 10**9).to_bytes(8, 'little')
    archive(path, b'\x80\x02cbuiltins\nbytearray\n\x8a\x08' + length + b'\x85R.')


@_add(MEMORY, 'bytearray(6e9), of Python 2')
def _bytearray_two(path: Path, good: Path, canary: Path) -> None:
    length = (6 * 10**9).to_bytes(8, 'little')
    archive(path, b'\x80\x02c__builtin__\nbytearray\n\x8a\x08' + length + b'\x85R.')


@_add(MEMORY, 'lists that hold each other, 2^60 items')
def _shared_lists(path: Path, good: Path, canary: Path) -> None:
    content = load(good)
    nested: list[Any] = ['x']
    for _ in range(60):
        nested = [nested, nested]
    content['meta']['more'] = content['message_hub'] = nested
    torch.save(content, path)


@_add(MEMORY, 'lists 100,000 deep')
def _deep(path: Path, good: Path, canary: Path) -> None:
    archive(path, b'\x80\x02' + b']' * 100_000 + b'a' * 99_999 + b'.')


@_add(MEMORY, 'a list that holds itself')
def _cyclic(path: Path, good: Path, canary: Path) -> None:
    content = load(good)
    content['meta']['more'] = circle = []  # type: ignore[var-annotated]
    circle.append(circle)
    content['state_dict']['circle'] = circle
    torch.save(content, path)


@_add(MEMORY, 'an integer of 8 MB')
def _long(path: Path, good: Path, canary: Path) -> None:
    digits = b'\x7f' * (8 << 20)
    archive(path, b'\x80\x02\x8b' + struct.pack('<I', len(digits)) + digits + b'.')


@_add(MEMORY, 'a FIFO')
def _fifo(path: Path, good: Path, canary: Path) -> None:
    if not path.exists():
        os.mkfifo(path)


@_add(MEMORY, 'a link to /dev/zero')
def _device(path: Path, good: Path, canary: Path) -> None:
    if not path.is_symlink():
        path.symlink_to('/dev/zero')


# ---- damage -------------------------------------------------------------------------------------


def _cut(share: float) -> Maker:
    def make(path: Path, good: Path, canary: Path) -> None:
        data = good.read_bytes()
        path.write_bytes(data[: int(share * len(data))])

    return make


def _flip(share: float) -> Maker:
    def make(path: Path, good: Path, canary: Path) -> None:
        data = bytearray(good.read_bytes())
        with zipfile.ZipFile(good) as file:
            largest = max(file.infolist(), key=lambda member: member.file_size)
        # Past the header of the member that holds most of the weights.
        data[largest.header_offset + 128 + int(share * (largest.file_size - 256))] ^= 0x40
        path.write_bytes(data)

    return make


def _zeros(path: Path, good: Path, canary: Path) -> None:
    data = bytearray(good.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4096] = bytes(4096)
    path.write_bytes(data)


for _share in (0.01, 0.1, 0.5, 0.9, 0.999):
    DAMAGE[f'cut at {_share:.1%}'] = _cut(_share)
for _share in (0.0, 0.3, 0.5, 0.7, 1.0):
    DAMAGE[f'a flipped bit at {_share:.0%}'] = _flip(_share)
DAMAGE['4 kB of zeros'] = _zeros


def _bytes(content: bytes) -> Maker:
    return lambda path, good, canary: path.write_bytes(content)


for _name, _content in {
    'empty': b'',
    'text': b'weights\n',
    'a web page': b'<!DOCTYPE html><html></html>',
    'a git-lfs pointer': b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n',
    'noise': bytes(range(256)) * 64,
    'a pickle of a number': pickle.dumps(3),
    'an empty archive': b'PK\x05\x06' + bytes(18),
    'a safetensors header beyond the file': struct.pack('<Q', 1 << 60) + b'{}',
}.items():
    FORM[_name] = _bytes(_content)


@_add(FORM, 'a folder')
def _folder(path: Path, good: Path, canary: Path) -> None:
    path.mkdir(exist_ok=True)


@_add(FORM, 'no file')
def _nothing(path: Path, good: Path, canary: Path) -> None:
    path.unlink(missing_ok=True)


for _name, _value in {
    'a list': [1, 2],
    'a mapping without tensors': {'state_dict': {'a': 1}},
    'a state dict that is a list': {'state_dict': [torch.ones(1)]},
    'an empty mapping': {},
}.items():
    FORM[_name] = lambda path, good, canary, value=_value: torch.save(value, path)


# ---- numbers, other models, sound ones ----------------------------------------------------------


def _changed(change: Callable[[dict[str, Any]], object]) -> Maker:
    """The good file with its state dict changed."""

    def make(path: Path, good: Path, canary: Path) -> None:
        content = load(good)
        change(content['state_dict'])
        torch.save(content, path)

    return make


_WEIGHT = 'backbone.layer2.0.conv1.weight'
_VARIANCE = 'backbone.layer2.0.bn1.running_var'


def _set(key: str, value: float) -> Maker:
    return _changed(lambda state: state[key].flatten()[:1].fill_(value))


def _cast(dtype: torch.dtype, times: float = 1.0) -> Maker:
    return _changed(lambda state: state.update({_WEIGHT: state[_WEIGHT].to(dtype) * times}))


NUMBERS |= {
    'NaN': _set(_WEIGHT, float('nan')),
    'infinity': _set(_WEIGHT, float('inf')),
    'a negative variance': _set(_VARIANCE, -1.0),
    'complex': _cast(torch.complex64),
    'integers': _cast(torch.int64),
    '1e300': _cast(torch.float64, 1e300),
}
OTHER_MODEL |= {
    'another number of units': _changed(
        lambda state: [state.pop(key) for key in list(state) if '.layer3.1.' in key]
    ),
    'another width': _changed(
        lambda state: state.update(
            {k: torch.cat([v, v]) for k, v in state.items() if k.startswith('backbone.') and v.ndim}
        )
    ),
    'no first layer': _changed(lambda state: state.pop('backbone.conv1.weight')),
}


@_add(OTHER_MODEL, 'a depth of 101')
def _depth(path: Path, good: Path, canary: Path) -> None:
    from ge_det.backbones import AttentionResNet

    backbone = AttentionResNet(101, base_channels=16)
    torch.save({f'backbone.{key}': value for key, value in backbone.state_dict().items()}, path)


def _copy(path: Path, good: Path, canary: Path) -> None:
    path.write_bytes(good.read_bytes())


def _prefixed(prefix: str) -> Maker:
    def make(path: Path, good: Path, canary: Path) -> None:
        content = load(good)
        state = content['state_dict']
        content['state_dict'] = {prefix + key: value for key, value in state.items()}
        torch.save(content, path)

    return make


SOUND |= {'as written': _copy, 'saved inside DataParallel': _prefixed('module.')}
