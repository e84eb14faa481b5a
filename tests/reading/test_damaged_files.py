"""Archives, other formats and what is no file at all: the same content, or one line."""

import io
import os
import pickle
import re
import socket
import struct
import tarfile
import zipfile

import hostile
import pytest
import torch
from safetensors.torch import save as to_safetensors

from ge_det.errors import CheckpointError
from ge_det.reading.load import load_file
from ge_det.weights.checkpoint import read_state_dict

WEIGHTS = dict(state_dict={'a': torch.arange(6.0), 'b': torch.ones(3)})


def refusal(path):
    with pytest.raises(CheckpointError) as caught:
        read_state_dict(str(path))
    message = str(caught.value)
    assert '\n' not in message and message.isprintable() and message.startswith(str(path))
    return message


def rewritten(members=None, compression=zipfile.ZIP_STORED, comment=b''):
    """A sound archive, written anew with other members."""
    file = io.BytesIO()
    old = zipfile.ZipFile(io.BytesIO(hostile.saved(WEIGHTS)))
    with old, zipfile.ZipFile(file, 'w', compression) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        for name, content in (members or {}).items():
            new.writestr(name, content)
        new.comment = comment
    return file.getvalue()


def with_field(signature, offset, form, value, which=0):
    """A sound archive with another number in one of its headers."""
    content, place = bytearray(rewritten()), -1
    for _ in range(which + 1):
        place = content.index(signature, place + 1)
    struct.pack_into(form, content, place + offset, value)
    return bytes(content)


LOCAL, CENTRAL, END = b'PK\3\4', b'PK\1\2', b'PK\5\6'


@pytest.mark.filterwarnings('ignore:Duplicate name')
@pytest.mark.parametrize(
    ('make', 'reason'),
    [
        (lambda: rewritten(compression=zipfile.ZIP_DEFLATED), 'are compressed'),
        (lambda: rewritten({'archive/x': b'', 'archive/X': b''}), 'two members'),
        (lambda: rewritten({'archive/data.pkl': b'\x80\x02N.'}), 'two members'),
        (lambda: rewritten({'archive/DATA.PKL': b'\x80\x02N.'}), 'two members'),
        (lambda: rewritten({'other/data.pkl': b'\x80\x02N.'}), 'does not write'),
        (lambda: rewritten({'archive/../data.pkl': b'\x80\x02N.'}), 'does not write'),
        (lambda: rewritten({'archive/constants.pkl': b''}), 'TorchScript'),
        (lambda: rewritten(comment=b'x'), 'its end is missing'),
        (lambda: b'MZ' + rewritten(), 'not a readable'),
        (lambda: LOCAL + rewritten(), 'no archive that torch.save wrote'),
        (lambda: rewritten() + b'x', 'its end is missing'),
        (lambda: rewritten() + rewritten(), 'no archive that torch.save wrote'),
        (lambda: with_field(CENTRAL, 24, '<L', 1 << 30, 3), 'another size'),
        (lambda: with_field(CENTRAL, 20, '<LL', 1 << 30), 'field'),
        (lambda: with_field(CENTRAL, 42, '<L', 0, 3), 'begins where|lies over'),
        (lambda: with_field(CENTRAL, 8, '<H', 1), 'compressed|checksum'),
        (lambda: with_field(CENTRAL, 16, '<L', 7), 'checksum'),
        (lambda: with_field(LOCAL, 8, '<H', 8), 'begins where'),
        (lambda: with_field(END, 10, '<H', 3), 'not a readable'),
        (lambda: with_field(END, 16, '<L', 7), 'not a readable|no archive'),
    ],
    ids=lambda value: None if callable(value) else value,
)
def test_archives_that_torch_does_not_write(make, reason, tmp_path):
    if reason == 'field':  # Two numbers that agree and are longer than the file.
        content = bytearray(rewritten())
        struct.pack_into('<LL', content, content.index(CENTRAL) + 20, 1 << 30, 1 << 30)
        make, reason = lambda: bytes(content), 'longer than the file|lies over'
    path = tmp_path / 'a.pth'
    path.write_bytes(make())
    assert re.search(reason, refusal(path))


def test_a_flipped_bit_is_seen_wherever_it_is(tmp_path):
    good, path = hostile.saved(WEIGHTS), tmp_path / 'a.pth'
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        for name in ('archive/data/0', 'archive/data/1', 'archive/data.pkl'):
            content = archive.read(name)
            place = good.index(content)
            flipped = bytearray(good)
            flipped[place + len(content) // 2] ^= 4
            path.write_bytes(flipped)
            assert 'does not have the checksum' in refusal(path)


def test_an_archive_without_checksums_loads(tmp_path):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(WEIGHTS, tmp_path / 'a.pth')
    finally:
        torch.serialization.set_crc32_options(before)
    assert load_file(tmp_path / 'a.pth')['state_dict']['a'].tolist() == list(range(6))


def test_the_hash_in_a_name_is_checked(tmp_path):
    path = tmp_path / 'resnet50-0676ba61.pth'
    path.write_bytes(legacy(WEIGHTS))
    assert 'does not have the hash in its name, 0676ba61' in refusal(path)
    # Its own checksums hold, so it is another file under that name; reports of imports say it.
    path.write_bytes(hostile.saved(WEIGHTS))
    assert load_file(path).keys() == WEIGHTS.keys()
    for name in ('resnet50-20260131.pth', 'epoch-00000012.pth', 'resnet50-small.pth'):
        assert load_file(path.rename(tmp_path / name)).keys() == WEIGHTS.keys()
        path.write_bytes(hostile.saved(WEIGHTS))


def legacy(content):
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def test_old_files_load(tmp_path):
    (tmp_path / 'a.pth').write_bytes(legacy(WEIGHTS))
    state = load_file(tmp_path / 'a.pth')['state_dict']
    assert (state['a'].tolist(), state['b'].tolist()) == (list(range(6)), [1.0] * 3)


@pytest.mark.parametrize(
    'damage',
    [
        lambda good: good[:-1],
        lambda good: good + b'x',
        lambda good: good[:60],
        # Another number of elements than are there, in the pickle or before the storage.
        lambda good: good.replace(b'cpuq\x0eK\x06', b'cpuq\x0eK\x60').replace(b'K\x06N', b'K\x60N'),
        lambda good: good.replace(struct.pack('<Q', 6), struct.pack('<Q', 1 << 40)),
        lambda good: good.replace(b'K\x06N', b'\x8a\x05\0\0\0\0\1N'),
    ],
    ids=['cut', 'longer', 'without-content', 'more-numbers', 'long-storage', 'huge'],
)
def test_old_files_that_are_damaged(damage, tmp_path):
    good = legacy(WEIGHTS)
    assert damage(good) != good
    (tmp_path / 'a.pth').write_bytes(damage(good))
    assert re.search('readable checkpoint|size', refusal(tmp_path / 'a.pth'))


@pytest.mark.parametrize('name', ['a.safetensors', 'a.pth', 'a.bin'])
def test_safetensors_are_told_by_their_content(name, tmp_path):
    (tmp_path / name).write_bytes(to_safetensors(WEIGHTS['state_dict'], {'format': 'pt'}))
    assert read_state_dict(str(tmp_path / name))['a'].tolist() == list(range(6))


def header(text, size=None):
    return struct.pack('<Q', len(text) if size is None else size) + text.encode()


@pytest.mark.parametrize(
    'content',
    [
        to_safetensors(WEIGHTS['state_dict'])[:-1],
        to_safetensors(WEIGHTS['state_dict'])[:40],
        to_safetensors(WEIGHTS['state_dict']) + b'x',
        header('{}', 1 << 60),
        header('{' * 100_000),
        header('{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}'),
        header('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
               '"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}') + bytes(4),
        header('{"__metadata__":{"ge_det":"{}"},"a":{"dtype":"U8","shape":[0],'
               '"data_offsets":[0,0]}}'),
        header('{"__metadata__":{"ge_det":"' + '[' * 50_000 + '"},"a":{"dtype":"U8","shape":[0],'
               '"data_offsets":[0,0]}}'),
        b'',
    ],
    ids=['cut', 'header-cut', 'longer', 'header-huge', 'header-deep', 'beyond', 'overlap',
         'note-empty', 'note-deep', 'empty'],
)  # fmt: skip
def test_safetensors_that_are_damaged(content, tmp_path):
    (tmp_path / 'a.safetensors').write_bytes(content)
    assert refusal(tmp_path / 'a.safetensors')


def tar():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode='w', format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo('sys_info'))
    return file.getvalue()


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (tar(), 'a tar archive'),
        (b'PK\3\4', 'not a readable checkpoint'),
        (b'PK\5\6' + bytes(18), 'not a readable checkpoint'),
        (bytes(5000), 'not a readable checkpoint'),
        (os.urandom(5000).replace(b'<', b''), 'not a readable checkpoint'),
        (pickle.dumps([1, 2], 2), 'that torch.save did not write'),
        (b'\x89PNG\r\n\x1a\n', 'not a readable checkpoint'),
        (b'a' * 10_000_000, 'not a readable checkpoint'),
        (b'c' * 10_000_000, 'not a readable checkpoint'),
        (b'{"a": 1}', "(ValueError: at position 0, opcode b'{' unknown); fetch or copy it again"),
    ],
    ids=[
        'tar',
        'zip-start',
        'zip-empty',
        'zeros',
        'noise',
        'pickle',
        'png',
        'letters',
        'globals',
        'json',
    ],  # fmt: skip
)
def test_other_files(content, reason, tmp_path):
    (tmp_path / 'a.pth').write_bytes(content)
    assert reason in refusal(tmp_path / 'a.pth')


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    assert 'a pipe or a device' in refusal(tmp_path / 'pipe')
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / 's'))
        assert 'a pipe or a device' in refusal(tmp_path / 's')
    assert 'a pipe or a device' in refusal('/dev/zero')
    assert 'a folder' in refusal(tmp_path)
    assert 'no such file' in refusal(tmp_path / 'pipe' / 'a.pth')
    assert (
        'not a path' in pytest.raises(CheckpointError, load_file, tmp_path / 'a\0b').value.args[0]
    )


def test_a_file_larger_than_any_detector_is_not_read(tmp_path):
    with (tmp_path / 'a.pth').open('wb') as file:
        file.truncate(5 << 30)  # Takes no room on the disk.
    assert 'of 5.4 GB, more than' in refusal(tmp_path / 'a.pth')


@pytest.mark.filterwarnings('ignore:TypedStorage')
def test_an_older_torch_reads_safetensors_only(tmp_path, monkeypatch):
    (tmp_path / 'a.pth').write_bytes(hostile.saved(WEIGHTS))
    (tmp_path / 'a.safetensors').write_bytes(to_safetensors(WEIGHTS['state_dict']))
    for version in ('2.9.1+cpu', '2.6.0', '1.13.1'):
        monkeypatch.setattr(torch, '__version__', version)
        assert f'torch {version} can be made to overwrite memory' in refusal(tmp_path / 'a.pth')
        assert 'CVE-2026-24747' in refusal(tmp_path / 'a.pth')
        assert read_state_dict(str(tmp_path / 'a.safetensors'))['b'].tolist() == [1.0] * 3
    for version in ('2.10.0', '2.13.0a0+git', '3.0'):
        monkeypatch.setattr(torch, '__version__', version)
        assert load_file(tmp_path / 'a.pth').keys() == WEIGHTS.keys()
