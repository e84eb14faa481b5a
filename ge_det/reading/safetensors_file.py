"""Files of safetensors: tensors and one text, which holds what a published file tells."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

from .values import Damaged, Refused

# One entry alone: safetensors writes several in an order of chance.
_ENTRY = 'ge_det'
_LONGEST_HEADER = 4 << 20


def is_safetensors(file: BinaryIO, size: int) -> bool:
    """Whether a file begins with the header of safetensors, whatever its name."""
    file.seek(0)
    start = file.read(9)
    return start[8:] == b'{' and 2 <= int.from_bytes(start[:8], 'little') <= size - 8


def read_safetensors(path: Path) -> dict[str, Any]:
    """The tensors as ``state_dict``, and ``meta`` as far as one of ours wrote the file.

    Raises:
        Damaged: If it is no whole file of safetensors.
        Refused: If its header is longer than a detector's, or what one of ours noted is no note.
    """
    from safetensors import SafetensorError, safe_open

    with path.open('rb') as start:
        if int.from_bytes(start.read(8), 'little') > _LONGEST_HEADER:
            raise Refused('its header is cut off, or longer than that of a detector')
    try:
        with safe_open(path, framework='pt', device='cpu') as file:
            noted = (file.metadata() or {}).get(_ENTRY)
            state = OrderedDict((key, file.get_tensor(key)) for key in file.keys())  # noqa: SIM118
    except SafetensorError as error:
        raise Damaged(f'not a readable checkpoint, cut off or damaged ({error})') from error
    if noted is None:
        return dict(state_dict=state)
    content = _decode(json.loads(noted))
    if not isinstance(content, dict) or not isinstance(content.get('order'), list):
        raise Refused('what is noted in it beside its tensors is damaged')
    if sorted(map(str, content['order'])) == sorted(state):
        for key in content['order']:
            state.move_to_end(key)
    if isinstance(content.get('versions'), dict):
        state._metadata = OrderedDict(content['versions'])  # type: ignore[attr-defined]
    return dict(meta=content.get('meta'), state_dict=state)


def to_safetensors(state: Mapping[str, Tensor], meta: Mapping[str, Any]) -> bytes:
    """A file of safetensors, the same for the same content.

    Args:
        state (Mapping[str, Tensor]): Weights, each contiguous.
        meta (Mapping): Plain data to note beside them.
    """
    from safetensors.torch import save

    versions = dict(getattr(state, '_metadata', None) or {})
    noted = dict(order=list(state), versions=versions, meta=dict(meta))
    return save(_apart(state), {_ENTRY: json.dumps(_encode(noted), separators=(',', ':'))})


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, each in a memory of its own: safetensors knows no others."""
    seen: set[int] = set()
    apart = {}
    for key, tensor in state.items():
        place = tensor.untyped_storage().data_ptr()
        apart[key] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return apart


def _encode(value: Any) -> Any:
    """JSON has neither tuples nor keys that are no text; both come back by these marks."""
    if isinstance(value, tuple):
        return {'tuple()': [_encode(item) for item in value]}
    if isinstance(value, list):
        return [_encode(item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value) and not value.keys() & {'tuple()', 'dict()'}:
            return {key: _encode(item) for key, item in value.items()}
        return {'dict()': [[_encode(key), _encode(item)] for key, item in value.items()]}
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if isinstance(value, dict):
        if 'tuple()' in value:
            return tuple(_decode(item) for item in value['tuple()'])
        if 'dict()' in value:
            return {_decode(key): _decode(item) for key, item in value['dict()']}
        return {key: _decode(item) for key, item in value.items()}
    return value
