"""Files that want to fill the memory, or to hang."""

from __future__ import annotations

import io
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import torch

from .making import Calls, Maker, adding, archive, load

MEMORY: dict[str, Maker] = {}
_add = adding(MEMORY)


def _tensor(count: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """A pickle of a state dict with one tensor, whatever its storage holds."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if value is storage:
                return 'storage', torch.FloatStorage, '0', 'cpu', count
            return None

    storage = object()
    rebuilt = Calls(torch._utils._rebuild_tensor_v2, storage, 0, size, stride, False, {})
    buffer = io.BytesIO()
    Pickler(buffer, 2).dump({'state_dict': {'layer1.0.conv1.weight': rebuilt}})
    return buffer.getvalue()


@_add('a tensor of zero strides')
def _zero_strides(path: Path, good: Path, canary: Path) -> None:
    archive(path, _tensor(1, (200000, 200000), (0, 0)), _0=bytes(4))


@_add('a storage larger than its member')
def _declared_huge(path: Path, good: Path, canary: Path) -> None:
    archive(path, _tensor(1 << 40, (1 << 40,), (1,)), _0=bytes(4))


@_add('compressed members')
def _compressed(path: Path, good: Path, canary: Path) -> None:
    if not path.exists():
        archive(path, _tensor(1 << 28, (1 << 28,), (1,)), compressed=True, _0=bytes(1 << 30))


@_add('bytearray(6e9)')
def _bytearray(path: Path, good: Path, canary: Path) -> None:
    length = (6 * 10**9).to_bytes(8, 'little')
    archive(path, b'\x80\x02cbuiltins\nbytearray\n\x8a\x08' + length + b'\x85R.')


@_add('bytearray(6e9), of Python 2')
def _bytearray_two(path: Path, good: Path, canary: Path) -> None:
    length = (6 * 10**9).to_bytes(8, 'little')
    archive(path, b'\x80\x02c__builtin__\nbytearray\n\x8a\x08' + length + b'\x85R.')


@_add('lists that hold each other, 2^60 items')
def _shared_lists(path: Path, good: Path, canary: Path) -> None:
    content = load(good)
    nested: list[Any] = ['x']
    for _ in range(60):
        nested = [nested, nested]
    content['meta']['more'] = content['message_hub'] = nested
    torch.save(content, path)


@_add('lists 100,000 deep')
def _deep(path: Path, good: Path, canary: Path) -> None:
    archive(path, b'\x80\x02' + b']' * 100_000 + b'a' * 99_999 + b'.')


@_add('a list that holds itself')
def _cyclic(path: Path, good: Path, canary: Path) -> None:
    content = load(good)
    content['meta']['more'] = circle = []  # type: ignore[var-annotated]
    circle.append(circle)
    content['state_dict']['circle'] = circle
    torch.save(content, path)


@_add('an integer of 8 MB')
def _long(path: Path, good: Path, canary: Path) -> None:
    digits = b'\x7f' * (8 << 20)
    archive(path, b'\x80\x02\x8b' + struct.pack('<I', len(digits)) + digits + b'.')


@_add('a FIFO')
def _fifo(path: Path, good: Path, canary: Path) -> None:
    if not path.exists():
        os.mkfifo(path)


@_add('a link to /dev/zero')
def _device(path: Path, good: Path, canary: Path) -> None:
    if not path.is_symlink():
        path.symlink_to('/dev/zero')
