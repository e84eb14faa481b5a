"""Signals, kills, full disks and used folders: one line, nothing left behind, nothing lost."""

from __future__ import annotations

import contextlib
import multiprocessing
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
from command_line import exit_code
from tiny_detector import tiny_detector

from ge_det.reading.load import load_file
from ge_det.weights.training_checkpoint import checkpoints
from lab.forked_python import forked_python

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


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(folder, *arguments),
        cwd=folder,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUNBUFFERED': '1'},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
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
    # The harder one is to an interpreter that comes and goes.
    with forked_python() if times == 1 else contextlib.nullcontext():
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
    deadline = time.monotonic() + 1  # Of the last one's end its files go first.
    while (left := processes(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def test_ctrl_c_while_the_report_is_made(folder: Path) -> None:
    work_dir = folder / 'reported'
    options = ['train_cfg.max_epochs=1', 'default_hooks.report.type=ge_det.WriteReport']
    process = start(folder, '--work-dir', str(work_dir), '--cfg-options', *options)
    assert process.stdout is not None
    line = next(line for line in process.stdout if line.startswith('report: '))
    assert line == 'report:  measuring the best checkpoint on 2 photos ...\n'
    wait_for(lambda: of_report(work_dir), process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == (
        f'train: interrupted; the training is whole; `ge-det report {work_dir}` writes the report'
    )
    assert 'Traceback' not in errors and len(said(errors)) == 1
    assert (work_dir / 'epoch_1.pth').is_file() and not of_report(work_dir)


def of_report(work_dir: Path) -> list[str]:
    """The processes that make a report."""
    wanted = f'ge_det\0report\0{work_dir}\0'.encode()
    found = []
    for file in Path('/proc').glob('[0-9]*/cmdline'):
        with contextlib.suppress(OSError):
            found += [file.parent.name] if file.read_bytes().endswith(wanted) else []
    return found


def test_a_signal_in_the_first_epoch_tells_that_nothing_is_saved(folder: Path) -> None:
    work_dir = folder / 'first'
    with forked_python():
        process = start(folder, '--work-dir', str(work_dir))
    wait_for(lambda: bool(list(work_dir.glob('*/*.log'))), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and not list(work_dir.glob('*.pth'))
    (line,) = said(errors)
    assert line.endswith('nothing is saved yet, for the first epoch had not ended; run it again')


def forked(folder: Path, *arguments: str, most_bytes: int | None = None) -> tuple[int, str]:
    """Run the command in a fork of this process: its exit code, and what it says on stderr."""
    errors = folder / 'errors.txt'

    def run() -> None:
        if most_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        with errors.open('w') as sys.stderr, open(os.devnull, 'w') as sys.stdout:
            torch.set_num_threads(1)
            code = exit_code('train', folder / 'tiny.py', *arguments)
        sys.exit(code)

    process = multiprocessing.get_context('fork').Process(target=run)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode, errors.read_text()


def test_a_full_disk(folder: Path) -> None:
    work_dir = folder / 'full'
    code, errors = forked(folder, '--work-dir', str(work_dir), most_bytes=100_000)
    assert (code, 'Traceback' in errors) == (2, False), errors
    (line,) = said(errors)
    assert 'File too large' in line and '--resume' in line
    assert not list(work_dir.glob('*.pth')) and not list(work_dir.glob('.*.part'))


@pytest.mark.parametrize('batch_size', [2, 5])
def test_a_loss_that_is_no_number(folder: Path, batch_size: int) -> None:
    """With a batch of all pictures, an epoch ends before a loss can tell what the weights are."""
    options = ['optim_wrapper.optimizer.lr=1e35', 'optim_wrapper.clip_grad=None']
    options += [f'train_dataloader.batch_size={batch_size}']
    work_dir = folder / f'nan-{batch_size}'
    code, errors = forked(folder, '--work-dir', str(work_dir), '--cfg-options', *options)
    assert (code, 'Traceback' in errors) == (2, False), errors
    (line,) = said(errors)
    what = 'the loss is (nan|inf)' if batch_size == 2 else 'no checkpoint is written after .* 1, '
    assert re.search(what, line) and 'lower the learning rate' in line
    assert checkpoints(work_dir) == [] and not (work_dir / 'last_checkpoint').exists()


def test_what_comes_after_a_training_that_diverged(folder: Path) -> None:
    """The learning rate is part of what is resumed, so the way out is another one."""
    work_dir = folder / 'diverged'
    arguments = ('--work-dir', str(work_dir), '--cfg-options')
    assert forked(folder, *arguments, 'train_cfg.max_epochs=1')[0] == 0
    loss = 'model.rpn_head.loss_cls.loss_weight=1e38'
    code, errors = forked(folder, '--resume', *arguments, loss, 'optim_wrapper.clip_grad=None')
    (line,) = said(errors)
    assert code == 2 and line.endswith(f'from --cfg-options load_from={work_dir / "epoch_1.pth"}')
    content = load_file(work_dir / 'epoch_1.pth')
    next(iter(content['state_dict'].values())).fill_(torch.inf)  # As MMEngine alone writes it.
    torch.save(content, work_dir / 'epoch_1.pth')
    code, errors = forked(folder, '--resume', *arguments, 'train_cfg.max_epochs=2')
    (line,) = said(errors)
    assert code == 2 and 'nothing to resume' in line and 'lower learning rate' in line
