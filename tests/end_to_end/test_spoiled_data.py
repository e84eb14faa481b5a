"""Data that change after make-config, and a disk that is full: what train and test say."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from pathlib import Path

import pytest
import torch
from command_line import exit_code
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from tiny_detector import tiny_detector


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A config as make-config writes them, its data, and a checkpoint."""
    register_all_modules()
    config = tiny_detector(tmp_path / 'data', 1)
    config.dump(tmp_path / 'tiny.py')
    text = (tmp_path / 'tiny.py').read_text()
    (tmp_path / 'tiny.py').write_text(f'# Written by: ge-det make-config\n{text}')
    state = MODELS.build(config.model).state_dict()
    torch.save({'meta': {}, 'state_dict': state}, tmp_path / 'tiny.pth')
    return tmp_path


def say(folder: Path, command: str, *arguments: str) -> tuple[str, str]:
    """What a command that fails shows, and its error; it runs in a fork of this process."""

    def run() -> None:
        os.chdir(folder)
        with open('out', 'w') as sys.stdout, open('err', 'w') as sys.stderr:
            torch.set_num_threads(1)
            code = exit_code(command, 'tiny.py', *arguments)
        sys.exit(code)

    process = multiprocessing.get_context('fork').Process(target=run)
    process.start()
    process.join()
    errors = (folder / 'err').read_text()
    assert (process.exitcode, 'Traceback' in errors) == (2, False), errors
    (line,) = [line for line in errors.splitlines() if line.startswith(f'{command}: ')]
    return (folder / 'out').read_text(), line


@pytest.mark.parametrize(('command', 'workers'), [('train', 1), ('test', 0)])
def test_an_empty_picture(folder: Path, command: str, workers: int) -> None:
    split = 'train' if command == 'train' else 'val'
    path = folder / f'data/{split}/000001.png'
    path.write_bytes(b'')
    loader = f'{command}_dataloader.num_workers={workers}'
    checkpoint = ['tiny.pth'] * (command == 'test')
    _, line = say(folder, command, *checkpoint, '--cfg-options', loader)
    assert f'{path}: this picture does not load (empty: fetch it again); put it back' in line
    assert 'make-config' in line


@pytest.mark.parametrize('command', ['train', 'test'])
def test_annotations_that_changed(folder: Path, command: str) -> None:
    path = folder / f'data/annotations/{"train" if command == "train" else "val"}.json'
    content = json.loads(path.read_text())
    content['annotations'][0]['bbox'][0] = 'left'
    path.write_text(json.dumps(content))
    later = (folder / 'tiny.py').stat().st_mtime + 10
    os.utime(path, (later, later))
    shown, line = say(folder, command, *['tiny.pth'] * (command == 'test'))
    assert f'warning: {path} changed after tiny.py was written; run make-config again' in shown
    assert f'{path}: these annotations cannot be read (TypeError: ' in line
    assert 'make-config again with --force' in line


def test_the_figures_of_a_test_are_shown_on_a_full_disk(folder: Path) -> None:
    os.symlink('/dev/full', folder / 'full.pkl')
    shown, line = say(folder, 'test', 'tiny.pth', '--out', 'full.pkl')
    assert 'Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all' in shown
    assert "'full.pkl': a file cannot be written; make room" in line


def test_a_work_dir_that_cannot_be_written(folder: Path) -> None:
    _, line = say(folder, 'test', 'tiny.pth', '--work-dir', '/proc/here')
    assert '/proc/here: cannot be written (' in line and 'give another --work-dir' in line
