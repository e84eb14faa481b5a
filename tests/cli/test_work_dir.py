"""The folder a training works in: refused, taken, resumed from; one line where it cannot be."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from ge_det.cli.work_dir import check_work_dir, own_work_dir
from ge_det.config_reader import parse_change
from ge_det.errors import UserError


def take(folder: Path, resume: str | None = None, **config: Any) -> str | None:
    args = argparse.Namespace(work_dir=str(folder), config='my.py', resume=resume)
    with own_work_dir(args, config) as resumed:
        return resumed


def save(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    names = ('optimizer', 'message_hub', 'state_dict')
    torch.save(dict(meta=dict(epoch=1, iter=1), **{name: {} for name in names}), path)
    return path


def test_a_used_folder_is_refused_and_resumed(tmp_path: Path) -> None:
    run = tmp_path / 'run'
    assert take(run) is None  # A new one.
    assert take(run) is None  # Nothing came of the first.
    checkpoint = save(run / 'epoch_1.pth')
    with pytest.raises(UserError, match=r'there is a training already \(epoch_1.pth\); --resume'):
        take(run)
    for resume in ('auto', str(checkpoint)):
        assert take(run, resume) == str(checkpoint)


def test_a_name_that_mmengine_would_fill_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the work dir .* holds '\{\{'"):
        take(tmp_path / '{{ fileDirname }}')
    assert not any(tmp_path.iterdir())


def test_another_runs_checkpoint_does_not_go_into_a_used_folder(tmp_path: Path) -> None:
    other = save(tmp_path / 'other/epoch_5.pth')
    assert take(tmp_path / 'run', str(other)) == str(other)
    save(tmp_path / 'run/epoch_1.pth')
    with pytest.raises(UserError, match='there is a training already'):
        take(tmp_path / 'run', str(other))


@pytest.mark.parametrize('words', [['--resume'], ['--resume', 'auto'], ['--resume=auto']])
def test_nothing_to_resume(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: list[str],
) -> None:
    monkeypatch.setattr(sys, 'argv', ['train', 'my.py', *words, '--amp'])
    assert take(tmp_path / 'run', 'auto') is None
    assert sys.argv == ['train', 'my.py', '--amp']  # mmdet would forget the config's load_from
    assert 'begins anew' in capsys.readouterr().out


def test_nothing_to_resume_by_the_config_of_a_resumed_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As MMEngine leaves it in that one's work dir."""
    other = save(tmp_path / 'other/epoch_5.pth')
    cfg = dict(resume=True, load_from=str(other))
    args = argparse.Namespace(work_dir=str(tmp_path / 'run'), config='my.py', resume=None)
    with own_work_dir(args, cfg) as resumed:
        assert resumed == str(other)
    monkeypatch.setattr(sys, 'argv', ['train', 'my.py', '--resume'])
    args.resume = 'auto'
    with own_work_dir(args, cfg) as resumed:
        assert resumed is None
    assert sys.argv[1:3] == ['my.py', '--cfg-options']
    changes = [parse_change(word) for word in sys.argv[3:]]
    assert changes == [dict(resume=False), dict(load_from=None)]


def test_two_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr('ge_det.locks.PATIENCE', 0.1)
    with FileLock(tmp_path / '.training.lock'), pytest.raises(UserError, match='another training'):
        take(tmp_path)
    take(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    for folder in (tmp_path / 'file', tmp_path / 'file/run', Path('/proc/run')):
        for action in (take, check_work_dir):
            with pytest.raises(UserError, match='cannot be written.*give another --work-dir'):
                action(folder)


def test_a_check_leaves_nothing_behind(tmp_path: Path) -> None:
    check_work_dir(tmp_path / 'work_dirs/my')
    assert not list(tmp_path.iterdir())
    (tmp_path / 'there').mkdir()
    check_work_dir(tmp_path / 'there')
    assert [one.name for one in tmp_path.iterdir()] == ['there']


def test_a_file_system_without_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fcntl = pytest.importorskip('fcntl')

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'flock', refuse)
    monkeypatch.setattr('ge_det.locks.PATIENCE', 0.1)
    assert take(tmp_path) is None


def test_of_several_processes_one_speaks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    save(tmp_path / 'epoch_1.pth')
    monkeypatch.setenv('RANK', '1')
    monkeypatch.setattr(sys, 'argv', ['train', 'my.py', '--launcher', 'pytorch'])
    assert take(tmp_path) is None


@pytest.mark.parametrize('is_begun', [False, True])
def test_all_processes_begin_anew_or_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_begun: bool
) -> None:
    """With --resume, mmdet's tool forgets load_from: the first alone would have the weights."""
    if is_begun:
        save(tmp_path / 'epoch_1.pth')
    for rank in '01':
        monkeypatch.setenv('RANK', rank)
        words = ['train', 'my.py', '--launcher', 'pytorch']
        monkeypatch.setattr(sys, 'argv', [*words, '--resume'])
        take(tmp_path, 'auto')
        assert sys.argv == [*words, *['--resume'] * is_begun]
