"""A disk that is full or cannot be written: one line, and no part of a file is left."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_inputs import write_inputs
from command_line import exit_code

pytest.importorskip('mmdet')

from ge_det.files import write_whole

NARROW = Path(__file__).parents[2] / 'lab/configs/_base_/faster-rcnn_r50-narrow.py'
DATA = '--train-json train.json --val-json val.json --images images'
COMMANDS = {
    'make-config': f'{DATA} --out OUT/my.py --no-measure',
    'make-context-shapes': '--out OUT --train 1 --val 1',
    'import-weights': '--checkpoint plain.pth --attention se --out OUT/se.pth',
    'publish': 'trained.pth --out OUT/shared',
    'flops': f'{NARROW} --shape 64 64 --json OUT/cost.json',
}


@pytest.fixture(scope='module')
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('inputs')
    write_inputs(folder)
    return folder


@pytest.fixture
def folder(inputs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(inputs)
    monkeypatch.setattr(sys, 'argv', ['ge-det'])
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    return tmp_path


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may get longer than this, as on a disk with so much room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(size: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


def errors_of(capsys: pytest.CaptureFixture[str]) -> str:
    """What was said on stderr, but for warnings, such as of few pictures."""
    lines = capsys.readouterr().err.splitlines(keepends=True)
    return ''.join(line for line in lines if not line.startswith('warning: '))


@pytest.mark.parametrize('command', COMMANDS)
def test_a_full_disk(command: str, folder: Path, full_disk: None, capsys, monkeypatch) -> None:
    arguments = COMMANDS[command].replace('OUT', str(folder)).split()
    if command == 'flops':  # MMEngine itself copies configs to read them.
        from ge_det.cli import flops

        count = flops.count
        monkeypatch.setattr(flops, 'count', lambda args: (count(args), fill(100))[0])
    else:
        fill(100)
    assert exit_code(command, *arguments) == 2
    said = errors_of(capsys)
    assert said.startswith(f'{command}: ') and said.count('\n') == 1, said
    assert 'File too large' in said and str(folder) in said
    assert 'make room' in said or 'give another --out' in said
    left = [file for file in folder.rglob('*') if file.is_file()]
    assert [file for file in left if file.stat().st_size or file.name.endswith('.part')] == []


@pytest.mark.parametrize('command', COMMANDS)
def test_a_folder_that_takes_no_files(command: str, folder: Path, capsys) -> None:
    arguments = COMMANDS[command].replace('OUT', '/proc/ge-det').split()
    assert exit_code(command, *arguments) == 2
    said = errors_of(capsys)
    assert said.startswith(f'{command}: ') and said.count('\n') == 1, said
    assert '/proc/ge-det' in said


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    os.symlink('/dev/null', tmp_path / 'null')
    write_whole(tmp_path / 'null', b'text')
    write_whole(tmp_path / 'null', lambda path: path.write_bytes(b'text'))
    assert os.path.samefile(tmp_path / 'null', '/dev/null')
    os.symlink('/dev/full', tmp_path / 'full')
    with pytest.raises(OSError, match='No space left'):
        write_whole(tmp_path / 'full', b'text')
    assert os.path.samefile(tmp_path / 'full', '/dev/full')


def test_a_name_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    write_whole(tmp_path / ('é' * 127), b'text')
    assert (tmp_path / ('é' * 127)).read_bytes() == b'text'
