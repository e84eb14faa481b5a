"""Files of torch before 1.6: four pickles and then the storages, without an archive around them."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

from ge_det.errors import one_line

from .allowed import STORAGES
from .pickles import look_through
from .values import Budget, Damaged, Made, Refused

_MAGIC = 0x1950A86A20F9469CFC6C
_LONGEST_NAME = 4096


class _Bounded:
    """A file that is never asked for more than it has, which would take that much memory."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size, self.tell = file, size, file.tell

    def read(self, count: int) -> bytes:
        if count > self.size:
            raise EOFError('it ends before what its pickle announces')
        return self.file.read(count)

    def readline(self) -> bytes:
        return self.file.readline(_LONGEST_NAME)


def look_through_legacy(file: BinaryIO, size: int) -> None:
    """Check all that torch would do to read an old file.

    Args:
        file (BinaryIO): The file, opened for reading.
        size (int): Its size in bytes.

    Raises:
        Refused: If it would do what plain data has no need of.
    """
    storages: dict[str, Made] = {}

    def storage(kind: str, key: str, numel: int) -> Made:
        itemsize = STORAGES.get(kind, 0)
        made = storages.setdefault(key, Made('storage', itemsize=itemsize, numel=numel))
        if not itemsize or numel < 0 or (made.itemsize, made.numel) != (itemsize, numel):
            raise Refused(f'its storage {key!r} does not have the size that is told of it')
        return made

    file.seek(0)
    bounded, budget = _Bounded(file, size), Budget(size, storage)
    if look_through(cast(BinaryIO, bounded), budget) != _MAGIC:
        raise Refused('not a readable checkpoint, a pickle that torch.save did not write')
    for _ in ('version', 'system', 'content'):
        _value(bounded, budget)
    keys = _value(bounded, budget)
    listed = keys.items if isinstance(keys, Made) and keys.kind == 'list' else []
    told = sum(8 + made.itemsize * made.numel for made in storages.values())
    if sorted(map(str, listed)) != sorted(storages) or told != size - file.tell():
        raise Damaged(
            'not a readable checkpoint, damaged or cut off: its storages do not have the sizes '
            'that are told of them; fetch it again'
        )


def _value(file: Any, budget: Budget) -> Any:
    try:
        return look_through(file, budget)
    except (Refused, OSError, MemoryError):
        raise
    except Exception as error:
        raise Damaged(
            'not a readable checkpoint, cut off or of another format '
            f'({type(error).__name__}: {one_line(error)[:100]}); fetch or copy it again'
        ) from error
