"""Files that are whole or not there, and errors on one line."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ge_det.errors import CheckpointError, UserError, one_line
from ge_det.files import is_part, read_json, sha256_of, to_json, write_whole


@pytest.mark.parametrize('content', [b'new', lambda path: path.write_bytes(b'new')])
def test_a_file_is_replaced_whole(tmp_path: Path, content: object) -> None:
    file = tmp_path / 'a.json'
    file.write_bytes(b'a longer old one')
    write_whole(file, content)  # type: ignore[arg-type]
    assert file.read_bytes() == b'new'
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize('lasting', [True, False])
def test_the_content_is_on_the_disk_before_the_name(
    lasting: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[object] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, 'fsync', lambda fd: (order.append(os.fstat(fd).st_size), sync(fd)))
    monkeypatch.setattr(os, 'replace', lambda a, b: (order.append('name'), replace(a, b)))
    write_whole(tmp_path / 'a.json', bytes(70_000), lasting)
    assert order == ([70_000, 'name'] if lasting else ['name'])


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / 'a.json'
    file.write_bytes(b'old')
    seen = []

    def fail(part: Path) -> None:
        part.write_bytes(b'half')
        seen.append(part)
        raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        write_whole(file, fail)
    assert file.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [file]
    assert is_part(seen[0]) and not is_part(file)


def test_json(tmp_path: Path) -> None:
    file = tmp_path / 'a.json'
    file.write_bytes(to_json({'a': [1, 'é']}))
    assert read_json(file) == {'a': [1, 'é']}
    for text in ('[1]', '{', ''):
        file.write_text(text)
        assert read_json(file) is None
    assert read_json(tmp_path / 'none.json') is None


def test_hash(tmp_path: Path) -> None:
    file = tmp_path / 'a'
    content = bytes(range(256)) * 5000  # more than is read at a time
    file.write_bytes(content)
    assert sha256_of(file) == hashlib.sha256(content).hexdigest()


def test_errors_take_one_line() -> None:
    assert one_line(UserError('a\n   b')) == 'a b'
    assert one_line(KeyboardInterrupt()) == 'KeyboardInterrupt'
    assert isinstance(CheckpointError('x'), UserError) and isinstance(UserError('x'), ValueError)


def test_two_threads_that_write_files_of_like_names_do_not_meet(tmp_path: Path) -> None:
    names = [f'{"a" * 50}-{number}' for number in range(2)]
    both = threading.Barrier(2)

    def slowly(name: str) -> None:
        def write(part: Path) -> None:
            part.write_text(name)
            both.wait(10)

        write_whole(tmp_path / name, write)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(slowly, names))
    assert [(tmp_path / name).read_text() for name in names] == names
