"""Damaged files, and what is no checkpoint at all."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch

from .making import Maker, adding

DAMAGE: dict[str, Maker] = {}
FORM: dict[str, Maker] = {}
_add = adding(FORM)


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


@_add('a folder')
def _folder(path: Path, good: Path, canary: Path) -> None:
    path.mkdir(exist_ok=True)


@_add('no file')
def _nothing(path: Path, good: Path, canary: Path) -> None:
    path.unlink(missing_ok=True)


def _saved(value: Any) -> Maker:
    return lambda path, good, canary: torch.save(value, path)


FORM |= {
    'a list': _saved([1, 2]),
    'a mapping without tensors': _saved({'state_dict': {'a': 1}}),
    'a state dict that is a list': _saved({'state_dict': [torch.ones(1)]}),
    'an empty mapping': _saved({}),
}
