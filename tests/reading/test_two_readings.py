"""An archive with two lists of members, of which some readers take the one, some the other."""

import io
import re
import struct

import hostile
import pytest

from ge_det.errors import CheckpointError
from ge_det.reading.load import load_file

END64 = struct.Struct('<4sQ2H2L4Q')
LOCATOR = struct.Struct('<4sLQL')
END = struct.Struct('<4s4H2LH')


def archive(body, **members):
    """Members and list of an archive, and how many members it has."""
    content = hostile.archive(io.BytesIO(), body, {'data/0': bytes(16), **members}).getvalue()
    count, length, start = END.unpack(content[-END.size :])[4:7]
    return content[:start], content[start : start + length], count


def moved(listed, count, by):
    """The list of an archive that begins ``by`` bytes later."""
    content, place = bytearray(listed), 0
    for _ in range(count):
        place = content.index(b'PK\1\2', place)
        (offset,) = struct.unpack_from('<L', content, place + 42)
        struct.pack_into('<L', content, place + 42, offset + by)
        place += 46
    return bytes(content)


def two_lists():
    """What Python's reader finds are weights; what torch's finds makes something else."""
    inner, inner_list, inner_count = archive(
        hostile.state_dict(x=hostile.called('builtins.bytearray', hostile.whole(9)))
    )
    for start in range(200, 2000):  # Where the inner one comes to lie.
        hidden = inner + moved(inner_list, inner_count, start)
        end = END64.pack(
            b'PK\6\6', 44, 45, 45, 0, 0, inner_count, inner_count, len(inner_list),
            start + len(inner),
        )  # fmt: skip
        outer, outer_list, count = archive(hostile.state_dict(), **{'data/1': hidden + end})
        if outer.index(inner) == start:
            break
    size, place = len(outer_list), len(outer)
    return (
        outer
        + outer_list
        + END64.pack(b'PK\6\6', 44, 45, 45, 0, 0, count, count, size, place)
        + LOCATOR.pack(b'PK\6\7', 0, start + len(hidden), 1)
        + END.pack(b'PK\5\6', 0, 0, count, count, size, place, 0)
    )


def with_end(members=0, offset=0):
    """A sound archive whose end tells other numbers of its list."""
    outer, listed, count = archive(hostile.state_dict())
    end = (count + members, count + members, len(listed), len(outer) + offset)
    return outer + listed + END.pack(b'PK\5\6', 0, 0, *end, 0)


@pytest.mark.parametrize(
    ('make', 'reason'),
    [
        (two_lists, 'no archive that torch.save wrote'),
        (lambda: with_end(offset=4), 'no archive that torch.save wrote'),
        (lambda: with_end(members=-1), 'another length than noted'),
    ],
)
def test_one_list_for_all_readers(make, reason, tmp_path):
    path = tmp_path / 'a.pth'
    path.write_bytes(make())
    with pytest.raises(CheckpointError, match=re.escape(reason)):
        load_file(path)


def test_the_tools_of_this_test_write_archives_that_load(tmp_path):
    (tmp_path / 'a.pth').write_bytes(with_end())
    assert load_file(tmp_path / 'a.pth')['state_dict']['weight'].tolist() == [0.0] * 4
