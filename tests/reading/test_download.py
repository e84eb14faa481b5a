"""Downloads end: with the file, or in bounded time with one line and nothing left behind."""

import hashlib
import os
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

import hostile
import pytest
import torch
from file_server import served

from ge_det.errors import CheckpointError
from ge_det.reading import transfer
from ge_det.weights.checkpoint import read_state_dict

GOOD = hostile.saved({'a': torch.ones(200_000)})


def header(length=None):
    length = len(GOOD) if length is None else length
    return f'HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n'.encode()


def trickle(connection, content, pause):
    for place in range(len(content)):
        connection.sendall(content[place : place + 1])
        time.sleep(pause)


BEHAVIOURS = {
    'silent': lambda c: time.sleep(20),
    'stalls-in-the-header': lambda c: trickle(c, b'HTTP/1.0 200 OK\r\nX: ' + b'x' * 999, 0.05),
    'stalls-in-the-body': lambda c: (c.sendall(header() + GOOD[:50_000]), time.sleep(20)),
    'trickles': lambda c: (c.sendall(header()), trickle(c, GOOD, 0.05)),
    'ends-early': lambda c: c.sendall(header() + GOOD[:50_000]),
    'announces-too-much': lambda c: c.sendall(header(1 << 50)),
    'never-ends': lambda c: [c.sendall(bytes(1 << 20)) for _ in range(10_000)],
    'is-no-http': lambda c: c.sendall(b'\x80\x02]' * 100),
    'sends-nothing': lambda c: c.sendall(header(0)),
    'header-never-ends': lambda c: c.sendall(b'HTTP/1.0 200 OK\r\n' + b'X: y\r\n' * 10_000),
    'redirects-to-a-file': lambda c: c.sendall(
        b'HTTP/1.0 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n'
    ),
}


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Start a server of one behaviour, and get a URL of it."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    listening = socket.create_server(('127.0.0.1', 0))

    def start(behave):
        def answer():
            while True:
                try:
                    connection, _ = listening.accept()
                    connection.recv(4096)
                    behave(connection)
                    connection.close()
                except OSError:  # The other side has given up, or the test is over.
                    if listening.fileno() < 0:
                        return

        threading.Thread(target=answer, daemon=True).start()
        return f'http://127.0.0.1:{listening.getsockname()[1]}'

    yield start
    listening.close()


@pytest.mark.parametrize('name', BEHAVIOURS)
def test_a_bad_server_costs_little_time_and_leaves_nothing(name, serve, monkeypatch, tmp_path):
    assert transfer._WINDOW <= 30  # A minute at most, from the address to the first bytes.
    monkeypatch.setattr(transfer, '_WINDOW', 1)
    monkeypatch.setattr(transfer, '_LARGEST', 20 << 20)
    start = time.monotonic()
    with pytest.raises(CheckpointError) as caught:
        read_state_dict(f'{serve(BEHAVIOURS[name])}/weights.pth')
    assert time.monotonic() - start < 10
    assert '\n' not in str(caught.value)
    assert [p for p in (tmp_path / 'cache').rglob('*') if p.is_file() and p.suffix != '.lock'] == []


def test_a_slow_server_that_keeps_sending_is_waited_for(serve, monkeypatch):
    monkeypatch.setattr(transfer, '_WINDOW', 2)  # It takes longer than that in all.

    def slowly(connection):
        connection.sendall(header())
        for place in range(0, len(GOOD), 100_000):
            connection.sendall(GOOD[place : place + 100_000])
            time.sleep(0.3)

    assert read_state_dict(f'{serve(slowly)}/weights.pth')['a'].sum() == 200_000


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A server of the files in a folder, and its URL."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    (tmp_path / 'site').mkdir()
    with served(tmp_path / 'site') as url:
        yield tmp_path / 'site', url


def cached(folder):
    """What the cache beside a folder holds."""
    return list((folder.parent / 'cache').rglob('*.pth'))


def test_a_damaged_file_in_the_cache_is_fetched_again(site):
    folder, url = site
    name = f'good-{hashlib.sha256(GOOD).hexdigest()[:8]}.pth'
    (folder / name).write_bytes(GOOD)
    read_state_dict(f'{url}/{name}')
    cached(folder)[0].write_bytes(GOOD[:-100] + bytes(100))
    with pytest.raises(CheckpointError, match='the download was removed, so try again'):
        read_state_dict(f'{url}/{name}')
    assert read_state_dict(f'{url}/{name}')['a'].sum() == 200_000


NAN = torch.full((3,), float('nan'))
OTHERS = {
    'cut-off': (GOOD[:-50], True),
    'a-pickle-cut-off': (b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M', True),
    'a-web-page': (b'<html>sign in</html>', True),
    'another-hash': (GOOD, True),
    'unsound': (hostile.saved({'a': NAN}), False),
    'without-weights': (hostile.saved([1]), False),
    'unfolds': (hostile.saved({'a': torch.ones(1).expand(1 << 30)}), False),
    'code': (hostile.saved({'a': Path('a')}), False),
    'another-format': (b'GIF89a', False),
}


@pytest.mark.parametrize('name', OTHERS)
def test_a_download_is_removed_for_damage_alone(name, site):
    folder, url = site
    content, is_damage = OTHERS[name]
    file = 'x-01234567.pth' if name == 'another-hash' else 'x.pth'
    (folder / file).write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_state_dict(f'{url}/{file}')
    assert bool(cached(folder)) != is_damage
    assert ('the download was removed' in str(caught.value)) == is_damage


@pytest.mark.skipif(not hasattr(os, 'seteuid') or os.geteuid() != 0, reason='needs a root')
def test_a_damaged_download_in_a_cache_of_others(monkeypatch):
    folder = Path(tempfile.mkdtemp())  # Not in one of pytest's, which are closed to others.
    try:
        folder.chmod(0o755)
        monkeypatch.setenv('TORCH_HOME', str(folder))
        cache = folder / 'hub/checkpoints'
        cache.mkdir(parents=True)
        (cache / 'x-01234567.pth').write_bytes(b'<html>')
        os.seteuid(65534)
        try:
            with pytest.raises(CheckpointError, match='a web page: .*; have .*67.pth removed, or'):
                read_state_dict('https://host/x-01234567.pth')
        finally:
            os.seteuid(0)
    finally:
        shutil.rmtree(folder)


def test_a_download_of_too_little_memory_stays(site, monkeypatch):
    folder, url = site
    (folder / 'x.pth').write_bytes(GOOD)

    def short_of_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr(torch, 'load', short_of_memory)
    with pytest.raises(CheckpointError):
        read_state_dict(f'{url}/x.pth')
    assert cached(folder)


def test_no_two_urls_are_one_file_in_the_cache(site):
    folder, url = site
    paths = ['a/b_c.pth', 'a_b/c.pth', 'a/c.pth', 'c.pth', 'c.pth?x=1', 'c.pth?x=2', 'C.pth']
    for number, path in enumerate(paths):
        file = folder / path.partition('?')[0]
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(hostile.saved({'a': torch.tensor(float(number))}))
        assert read_state_dict(f'{url}/{path}')['a'] == number
    assert len(cached(folder)) == len(paths)


def test_what_is_secret_in_a_url_is_told_nowhere(site):
    folder, url = site
    (folder / 'x.pth').write_bytes(GOOD)
    (folder / 'nan.pth').write_bytes(hostile.saved({'a': NAN}))
    read_state_dict(f'{url}/x.pth?sig=SECRET')
    password = url.replace('//', '//user:SECRET@SECRET@')
    for asked in ('/gone.pth?sig=SECRET', '/nan.pth?a=b&sig=SECRET', '/?sig=SECRET'):
        for begin in (url, password):
            with pytest.raises(CheckpointError) as caught:
                read_state_dict(begin + asked)
            assert 'SECRET' not in str(caught.value) and '127.0.0.1' in str(caught.value)
    assert not [file for file in folder.parent.rglob('*') if 'SECRET' in file.name]
