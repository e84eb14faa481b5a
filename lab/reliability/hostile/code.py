"""Files that want to run code."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import torch

from .making import Calls, Maker, adding, archive, load

CODE: dict[str, Maker] = {}
TEXT: dict[str, Maker] = {}
_in_pickle, _in_text = adding(CODE), adding(TEXT)


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


def _call(module: str, name: str, arguments: Callable[[Path], tuple[str, ...]]) -> list[Maker]:
    def bare(path: Path, good: Path, canary: Path) -> None:
        path.write_bytes(_named(module, name, *arguments(canary)))

    def inside(path: Path, good: Path, canary: Path) -> None:
        archive(path, _named(module, name, *arguments(canary)))

    return [bare, inside]


for _name, _what in _CALLS.items():
    CODE[f'{_name}, bare pickle'], CODE[f'{_name}, archive'] = _call(*_what)


@_in_pickle('a call inside meta of a good file')
def _call_in_meta(path: Path, good: Path, canary: Path) -> None:
    content = load(good)
    content['meta']['more'] = Calls(os.mkdir, str(canary))
    torch.save(content, path)


@_in_pickle('a call inside the optimizer of a good file')
def _call_in_optimizer(path: Path, good: Path, canary: Path) -> None:
    content = load(good)
    content['optimizer']['more'] = Calls(os.mkdir, str(canary))
    torch.save(content, path)


@_in_pickle('eight bytes as an object')
def _object_array(path: Path, good: Path, canary: Path) -> None:
    import numpy as np

    content = load(good)
    content['meta']['more'] = Calls(np.ndarray, (1,), np.dtype('O'), b'AAAAAAAA')
    torch.save(content, path)


@_in_pickle('an array of objects')
def _array_of_objects(path: Path, good: Path, canary: Path) -> None:
    import numpy as np

    content = load(good)
    content['meta']['more'] = np.array([1, 'two', None], dtype=object)
    torch.save(content, path)


@_in_text('meta config, cfg and more')
def _config_text(path: Path, good: Path, canary: Path) -> None:
    content = load(good)
    text = f'{content["meta"].get("cfg", "")}\n{_code(canary)}\n'
    content['meta'].update(dict.fromkeys(('config', 'cfg', 'config_text', 'env_info'), text))
    torch.save(content, path)


@_in_text('template words in class names')
def _template_words(path: Path, good: Path, canary: Path) -> None:
    content = load(good)
    content['meta'].setdefault('dataset_meta', {})['classes'] = ('{{ ' + _code(canary) + ' }}',)
    torch.save(content, path)
