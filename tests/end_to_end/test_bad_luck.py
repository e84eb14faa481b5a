"""Signals, kills, full disks and used folders: one line, nothing left behind, nothing lost."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_detector import tiny_detector

ROOT = Path(__file__).parents[2]
EPOCHS = 40  # More than anybody waits for.


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config and its data."""
    folder = tmp_path_factory.mktemp('user')
    tiny_detector(folder / 'data', EPOCHS).dump(folder / 'tiny.py')
    return folder


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / 'tools/train.py'), str(folder / 'tiny.py'), *arguments]


def start(
    folder: Path, *arguments: str, limit: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(folder, *arguments),
        cwd=folder,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1'},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
        start_new_session=True,  # As in a terminal of its own.
    )


def wait_for(what: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while not what():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1][
            -2000:
        ]
        time.sleep(0.05)


def processes(session: int) -> list[int]:
    """Processes of a session that live."""
    found = []
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = stat.read_text().rpartition(')')[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != 'Z':
            found.append(int(stat.parent.name))
    return found


def said(text: str) -> list[str]:
    """What the command itself says on stderr."""
    return [line for line in text.splitlines() if re.match(r'train(-classifier)?: ', line)]


@pytest.mark.parametrize(
    ('number', 'times', 'code'), [(signal.SIGINT, 3, 130), (signal.SIGTERM, 1, 143)]
)
def test_signals(folder: Path, number: int, times: int, code: int) -> None:
    work_dir = folder / f'signal-{code}'
    loader = ['train_dataloader.num_workers=2', 'train_dataloader.persistent_workers=True']
    process = start(folder, '--work-dir', str(work_dir), '--cfg-options', *loader)
    wait_for((work_dir / 'epoch_1.pth').is_file, process)
    assert len(processes(process.pid)) >= 3
    for _ in range(times):
        # A terminal sends Ctrl-C to all its processes, `kill` a signal to one.
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        time.sleep(0.05)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert 'Traceback' not in errors
    (line,) = said(errors)
    assert line.endswith('the same command with --resume goes on from the last checkpoint')
    time.sleep(0.2)
    assert processes(process.pid) == []
    if number == signal.SIGTERM:
        check_the_next_training(folder, work_dir)


def check_the_next_training(folder: Path, work_dir: Path) -> None:
    """In the folder of one that was ended: two at once, one that is killed, one that resumes."""


def test_a_full_disk(folder: Path) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    process = start(folder, '--work-dir', str(folder / 'full'), limit=limit)
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 2, errors
    assert 'Traceback' not in errors
    (line,) = said(errors)
    assert 'File too large' in line and '--resume' in line
    assert not list((folder / 'full').glob('*.pth')) and not list((folder / 'full').glob('.*.part'))


def test_a_loss_that_is_no_number(folder: Path) -> None:
    options = ['--cfg-options', 'optim_wrapper.optimizer.lr=1e12', 'optim_wrapper.clip_grad=None']
    process = start(folder, '--work-dir', str(folder / 'nan'), *options)
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 2, errors
    assert 'Traceback' not in errors
    (line,) = said(errors)
    assert re.search('the loss is (nan|inf)|is NaN', line) and 'lower the learning rate' in line
    for checkpoint in (folder / 'nan').glob('*.pth'):
        weights = torch.load(checkpoint, weights_only=False)['state_dict']
        assert all(torch.isfinite(value.float()).all() for value in weights.values())
