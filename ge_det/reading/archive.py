"""The zip archive that torch.save writes: whole, unpacked, and read in one way only.

torch compares no checksum, so a file with a flipped bit loads with other weights. And what one
reader of archives takes for a member, another may not: here only archives pass that leave no room
for that.
"""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from .values import Damaged, Refused

_MEMBER = re.compile(r'[^/\0]+(/(?!\.\.?(/|$))[\w.-]+)+', re.ASCII)
_LOCAL = struct.Struct('<4s5H3L2H')  # The header before a member.
_END = struct.Struct('<4s4H2LH')
_END64 = struct.Struct('<4sQ2H2L4Q4sLQL')  # And what points to it.
_LONGEST_LIST = 4 << 20  # Bytes.
_BLOCK = 1 << 22
_BROKEN = 'not a readable checkpoint, damaged or cut off: {}; fetch or copy it again'
_FOREIGN = 'it is no archive that torch.save wrote'


class Archive:
    """The members of an archive, by their names inside its one folder.

    Args:
        file (BinaryIO): The file, opened for reading.
        size (int): Its size in bytes.

    Attributes:
        has_checksums (bool): Whether its members are noted with checksums, which then hold.

    Raises:
        Refused: If it is damaged, or no archive as torch.save writes it.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._places: dict[str, tuple[int, int]] = {}
        if size < _END.size:
            raise Damaged(_BROKEN.format('its end is missing'))
        file.seek(size - _END.size)
        end = _END.unpack(file.read(_END.size))
        if end[0] != b'PK\5\6' or end[-1]:
            raise Damaged(_BROKEN.format('its end is missing'))
        count, length = self._check_list(size, *end[4:7])
        if length > _LONGEST_LIST:
            raise Refused('its list of members is longer than that of a detector')
        try:
            with ZipFile(file) as archive:
                members, start = archive.infolist(), archive.start_dir
        except BadZipFile as error:
            raise Damaged(_BROKEN.format(f'its list of members is none ({error})')) from error
        if len(members) != count:
            raise Damaged(_BROKEN.format('its list of members has another length than noted'))
        self._locate(members, start)
        self.has_checksums = any(member.CRC for member in members)
        self._compare(members)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def size_of(self, name: str) -> int | None:
        """Bytes of a member; None if there is none of this name."""
        place = self._places.get(name)
        return place and place[1]

    def read(self, name: str) -> bytes:
        """The content of a member."""
        start, size = self._places[name]
        self._file.seek(start)
        return self._file.read(size)

    def _check_list(self, size: int, count: int, length: int, offset: int) -> tuple[int, int]:
        """How many members the list has, and how many bytes, where all readers find the same list.

        Some look for it where it is noted to be, some right before the end.
        """
        place = size - _END.size
        self._file.seek(max(0, place - _END64.size))
        end64 = _END64.unpack(self._file.read(_END64.size).ljust(_END64.size))
        if end64[10] == b'PK\6\7':
            place -= _END64.size
            count, length, offset = end64[7:10]
            if end64[:2] != (b'PK\6\6', 44) or end64[12] != place:
                raise Refused(_FOREIGN)
        if offset + length != place:
            raise Refused(_FOREIGN)
        return count, length

    def _locate(self, members: list[ZipInfo], end: int) -> None:
        if not members or members[0].header_offset:
            raise Refused(_FOREIGN)
        folder, free = members[0].orig_filename.partition('/')[0], 0
        seen: set[str] = set()
        for member in sorted(members, key=lambda member: member.header_offset):
            name = member.orig_filename
            inner = name.partition('/')[2]
            if member.compress_type != ZIP_STORED or member.flag_bits & 1:
                raise Refused(
                    'its members are compressed, which torch.save never does; load and save it '
                    'again where you trust it'
                )
            if not _MEMBER.fullmatch(name) or not name.startswith(f'{folder}/'):
                raise Refused(f'it has a member {name!r}, which torch.save does not write')
            if inner.lower() in seen:
                raise Refused(f'it has two members {inner!r}')
            seen.add(inner.lower())
            start = self._start_of(member)
            if member.file_size != member.compress_size or member.header_offset < free:
                raise Refused(f'its member {inner!r} lies over another or claims another size')
            free = start + member.file_size
            if free > end:
                raise Damaged(_BROKEN.format(f'its member {inner!r} is longer than the file'))
            self._places[inner] = start, member.file_size

    def _start_of(self, member: ZipInfo) -> int:
        self._file.seek(member.header_offset)
        header = _LOCAL.unpack(self._file.read(_LOCAL.size))
        flags, (length, extra) = header[2], header[-2:]
        encoding = 'utf-8' if flags & 0x800 else 'cp437'
        is_same = self._file.read(length).decode(encoding, 'replace') == member.orig_filename
        if header[0] != b'PK\3\4' or header[3] != ZIP_STORED or not is_same:
            raise Damaged(_BROKEN.format(f'no member begins where {member.filename!r} should'))
        return member.header_offset + _LOCAL.size + length + extra

    def _compare(self, members: list[ZipInfo]) -> None:
        if not self.has_checksums:
            return  # Written without checksums (torch.serialization.set_crc32_options).
        for member in members:
            inner = member.orig_filename.partition('/')[2]
            if self._checksum(*self._places[inner]) != member.CRC:
                raise Damaged(
                    _BROKEN.format(f'its member {inner!r} does not have the checksum noted for it')
                )

    def _checksum(self, start: int, size: int) -> int:
        self._file.seek(start)
        value = 0
        while size > 0 and (block := self._file.read(min(size, _BLOCK))):
            value = zlib.crc32(block, value)
            size -= len(block)
        return value


def is_archive(path: Path) -> bool:
    """Whether a file begins as an archive does."""
    with path.open('rb') as file:
        return file.read(4) == b'PK\3\4'
