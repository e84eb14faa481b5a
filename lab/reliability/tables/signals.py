"""Interrupts, a disk that is full, a folder that cannot be written, and two runs in one folder."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from ge_det.cli.main import run as run_ge_det

from ..place import Place
from ..small_matrix import reproduce, write_matrix
from ..states import difference
from ..table import Table
from ..trial import ACCEPTED, ONE_LINE, Trial, attempt, fresh, kill_all_in, processes_in

ABOUT = (
    'Right: after a signal one line that tells how to go on, the exit code of that signal, no '
    'process left; without room or leave to write, one line and what was there as it was; of two '
    'trainings in one folder, the second ends in one line and the first as if alone.'
)

Fault = str | None


def run(place: Place, jobs: int) -> Table:
    """Try each, one after the other, for they are about time."""
    folder = fresh(place.tries / 'signals')
    table = Table('Signals, disks, two at once', ABOUT, ['tried', 'right'])
    for name, check in _checks(place, folder).items():
        fault = check()
        table.count(name, (int(fault is None), 1))
        if fault is not None:
            table.faults.append(f'{name}: {fault}')
    return table


def _checks(place: Place, folder: Path) -> dict[str, Callable[[], Fault]]:
    train = place.train_arguments(
        'run', 'train_cfg.max_epochs=30', 'train_dataloader.num_workers=2'
    )
    training = partial(run_ge_det, 'train', train)
    checks: dict[str, Callable[[], Fault]] = {}
    for name, signals, code in (
        ('Ctrl-C', [signal.SIGINT], 130),
        ('three Ctrl-C', [signal.SIGINT] * 3, 130),
        ('SIGTERM', [signal.SIGTERM], 143),
    ):
        inside = fresh(folder / f'train {name}')
        checks[f'train, {name}'] = partial(
            _signalled, training, inside, 'run/epoch_1.pth', signals, code
        )
        inside = fresh(folder / f'matrix {name}')
        checks[f'reproduce, {name}'] = partial(_signalled_matrix, inside, signals)
    for name, arguments in _writing(place).items():
        inside = fresh(folder / f'full {name}')
        checks[f'{name}, disk full'] = partial(_full_disk, name, arguments, inside)
        inside = fresh(folder / f'read-only {name}')
        checks[f'{name}, folder read-only'] = partial(_read_only, name, arguments, inside)
    checks['two trainings in one folder'] = partial(_two_at_once, place, fresh(folder / 'two'))
    return checks


def _writing(place: Place) -> dict[str, list[str]]:
    picture = str(next((place.folder / 'data/val').glob('*.png')))
    model = ['--config', str(place.config), '--checkpoint', str(place.detector)]
    return {
        'train': place.train_arguments('run'),
        'make-config': place.make_config_arguments(),
        'import-weights': [*model, '--out', 'out.pth'],
        'publish': [str(place.detector), '--out', 'published/'],
        'infer': [picture, *model, '--out', 'drawn'],
        'make-context-shapes': ['--out', 'shapes', '--train', '4', '--val', '4', '--quiet'],
    }


def _signalled(
    action: Callable[[], object], folder: Path, begun: str, signals: Sequence[int], code: int
) -> Fault:
    def send(child: int) -> None:
        until = time.monotonic() + 120
        while not list(folder.glob(begun)) and time.monotonic() < until:
            time.sleep(0.05)
        for number in signals:
            os.killpg(child, number) if number == signal.SIGINT else os.kill(child, number)
            time.sleep(0.1)

    left: list[int] = []
    trial = attempt(action, folder, 200, interrupt=send)
    time.sleep(0.5)
    left = processes_in(folder)
    kill_all_in(folder)
    if left:
        return f'{len(left)} processes left'
    if trial.code != code:
        return f'exit code {trial.code} instead of {code}: {trial.outcome}'
    if trial.outcome != ONE_LINE:
        return trial.outcome
    return (
        None if 'interrupted' in trial.last_line or 'ended' in trial.last_line else trial.last_line
    )


def _signalled_matrix(folder: Path, signals: Sequence[int]) -> Fault:
    write_matrix(folder)
    return _signalled(reproduce, folder, 'cells/*/epoch_1.pth', signals, 130)


def _full_disk(name: str, arguments: list[str], folder: Path) -> Fault:
    """On a file system without room; where none can be mounted, files end at 10 kB."""
    # A training begins, and finds no room for its checkpoint.
    size = '600k' if name == 'train' else '64k'
    mounted = _mount('-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', str(folder))
    try:
        if mounted and name != 'train':
            with suppress(OSError):
                (folder / 'filler').write_bytes(bytes(64 << 10))
        before = None if mounted else _short_files
        return _refused(attempt(lambda: run_ge_det(name, arguments), folder, before=before))
    finally:
        _unmount(folder, mounted)


def _short_files() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))


def _read_only(name: str, arguments: list[str], folder: Path) -> Fault:
    """In a mount that is read-only, since root may write into any folder."""
    mounted = _mount('--bind', str(folder), str(folder))
    try:
        if mounted:
            _mount('-o', 'remount,ro,bind', str(folder))
        else:
            folder.chmod(0o555)
        fault = _refused(attempt(lambda: run_ge_det(name, arguments), folder))
        left = [file.name for file in folder.iterdir()]
    finally:
        _unmount(folder, mounted)
        folder.chmod(0o755)
    return fault or (f'left {left}' if left else None)


def _mount(*arguments: str) -> bool:
    try:
        return subprocess.run(['mount', *arguments], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def _unmount(folder: Path, mounted: bool) -> None:
    if mounted:
        subprocess.run(['umount', '-l', str(folder)], capture_output=True)


def _refused(trial: Trial) -> Fault:
    if trial.outcome == ONE_LINE:
        return None
    return f'{trial.outcome}: {trial.last_line}'


def _two_at_once(place: Place, folder: Path) -> Fault:
    arguments = place.train_arguments('run')
    second: list[Trial] = []

    def start_second(child: int) -> None:
        until = time.monotonic() + 120
        while not list(folder.glob('run/*/vis_data')) and time.monotonic() < until:
            time.sleep(0.02)
        other = folder / 'other'
        other.mkdir()
        (other / 'run').symlink_to(folder / 'run')
        second.append(attempt(lambda: run_ge_det('train', arguments), other, 200))

    first = attempt(lambda: run_ge_det('train', arguments), folder, 300, interrupt=start_second)
    if first.outcome != ACCEPTED:
        return f'the first: {first.outcome}'
    if second[0].outcome != ONE_LINE:
        return f'the second: {second[0].outcome}'
    alone = place.detector
    return difference(alone, folder / 'run' / alone.name)
