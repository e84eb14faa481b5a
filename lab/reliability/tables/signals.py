"""Interrupts, a disk that is full, a folder that cannot be written, and two runs in one folder."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ge_det.cli.main import run as run_ge_det

from ..disks import fill_disk, read_only, small_disk
from ..parallel import in_parallel
from ..place import Place
from ..small_matrix import reproduce, write_matrix
from ..states import difference
from ..table import Table
from ..trial import ACCEPTED, ONE_LINE, Trial, attempt, fresh, is_running, kill_all_in, processes_in

ABOUT = (
    'Right: after a signal one line that tells how to go on, the exit code of that signal, no '
    'process left; without room or leave to write, one line that says so, and the files as '
    'they were, none beside them (of a training, none changed); of two trainings in one '
    'folder, the second ends in one line while the first runs, and the first as if alone.'
)
SIGNALS = {
    'Ctrl-C': ([signal.SIGINT], 130),
    'three Ctrl-C': ([signal.SIGINT] * 3, 130),
    'SIGTERM': ([signal.SIGTERM], 143),
}
_EPOCHS = 20  # Longer than a second training waits for the first, which may be about to end.
_NO_LEAVE = [
    os.strerror(number) for number in (errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EACCES)
]

Fault = str | None


def run(place: Place, jobs: int) -> Table:
    """Try each."""
    folder = fresh(place.tries / 'signals')
    table = Table('Signals, disks, two at once', ABOUT, ['tried', 'right'])
    names = list(_checks(place, folder))
    for name, fault in zip(
        names, in_parallel(_check, [(place, folder, name) for name in names], jobs), strict=True
    ):
        table.count(name, (int(fault is None), 1))
        if fault is not None:
            table.faults.append(f'{name}: {fault}')
    return table


def _check(task: tuple[Place, Path, str]) -> Fault:
    place, root, name = task
    return _checks(place, root)[name](fresh(root / name.replace(' ', '-').replace(',', '')))


def _checks(place: Place, root: Path) -> dict[str, Callable[[Path], Fault]]:
    """What is tried, each in a folder of its own."""
    checks: dict[str, Callable[[Path], Fault]] = {'two trainings': partial(_two_at_once, place)}
    for name, (signals, code) in SIGNALS.items():
        checks[f'train, {name}'] = partial(_signalled_training, place, signals, code)
        checks[f'reproduce, {name}'] = partial(_signalled_matrix, signals, code)
    for name, arguments in _writing(place).items():
        checks[f'{name}, disk full'] = partial(_full_disk, name, arguments)
        checks[f'{name}, folder read-only'] = partial(_read_only, name, arguments)
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


def _train(place: Place, *options: str) -> object:
    return run_ge_det('train', place.train_arguments('run', *options))


def _signalled_training(place: Place, signals: Sequence[int], code: int, folder: Path) -> Fault:
    workers = 'train_dataloader.num_workers=2'
    training = partial(_train, place, 'train_cfg.max_epochs=300', workers)
    return _signalled(training, folder, 'run/epoch_1.pth', signals, code, '--resume')


def _signalled_matrix(signals: Sequence[int], code: int, folder: Path) -> Fault:
    write_matrix(folder)
    return _signalled(reproduce, folder, 'cells/*/epoch_1.pth', signals, code, 'goes on')


def _signalled(
    action: Callable[[], object],
    folder: Path,
    begun: str,
    signals: Sequence[int],
    code: int,
    told: str,
) -> Fault:
    sent, left = [], []

    def send(child: int) -> None:
        if not _wait_until(lambda: bool(list(folder.glob(begun))), child):
            return
        for number in signals:
            os.killpg(child, number) if number == signal.SIGINT else os.kill(child, number)
            sent.append(number)
            time.sleep(0.1)

    def look() -> None:
        # The system takes a moment to end what was told to.
        until = time.monotonic() + 2
        while processes_in(folder) and time.monotonic() < until:
            time.sleep(0.05)
        left.extend(processes_in(folder))

    trial = attempt(action, folder, 300, interrupt=send, after=look)
    kill_all_in(folder)
    if len(sent) != len(signals):
        return f'ended before the signal: {trial.outcome}'
    if left:
        return f'{len(left)} processes left'
    if trial.code != code:
        return f'exit code {trial.code} instead of {code}: {trial.outcome}'
    if trial.outcome != ONE_LINE:
        return trial.outcome
    return None if told in trial.last_line else trial.last_line


def _wait_until(begun: Callable[[], bool], child: int) -> bool:
    """Wait until something has begun; False if the process has ended before."""
    while not begun():
        if not is_running(child):
            return False
        time.sleep(0.02)
    return is_running(child)


def _full_disk(name: str, arguments: list[str], folder: Path) -> Fault:
    # A training begins, and finds no room for its checkpoint.
    size = (600 if name == 'train' else 64) << 10
    with small_disk(folder, size) as limit:
        _write_earlier(folder)
        if limit is None and name != 'train':
            fill_disk(folder, size)
        return _refused(name, arguments, folder, limit)


def _read_only(name: str, arguments: list[str], folder: Path) -> Fault:
    _write_earlier(folder)
    with read_only(folder) as is_so:
        if not is_so:
            return 'not tried: the folder can be written'
        return _refused(name, arguments, folder)


def _write_earlier(folder: Path) -> None:
    """What a command with ``--force`` writes over."""
    (folder / 'my.py').write_text('earlier = True\n', encoding='utf-8')


def _refused(
    name: str,
    arguments: list[str],
    folder: Path,
    before: Callable[[], object] | None = None,
) -> Fault:
    earlier = _content(folder)
    trial = attempt(lambda: run_ge_det(name, arguments), folder, before=before)
    if trial.outcome != ONE_LINE or not any(told in trial.last_line for told in _NO_LEAVE):
        return f'{trial.outcome}: {trial.last_line}'
    now = _content(folder)
    if name == 'train':  # What it wrote until there was no room stays for --resume.
        now = {file: content for file, content in now.items() if file in earlier}
    changed = sorted(file for file in {*earlier, *now} if earlier.get(file) != now.get(file))
    return f'changed: {", ".join(changed)}' if changed else None


def _content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file()
    }


def _two_at_once(place: Place, folder: Path) -> Fault:
    alone = folder / 'alone'
    training = partial(_train, place, f'train_cfg.max_epochs={_EPOCHS}')
    place.must(training, alone)
    second: list[tuple[Trial, bool]] = []

    def start_second(child: int) -> None:
        if not _wait_until(lambda: bool(list(folder.glob('both/run/*/vis_data'))), child):
            return
        other = folder / 'other'
        other.mkdir()
        (other / 'run').symlink_to(folder / 'both/run')
        second.append((attempt(training, other, 200), is_running(child)))

    first = attempt(training, folder / 'both', 300, interrupt=start_second)
    if first.outcome != ACCEPTED:
        return f'the first: {first.outcome}'
    if not second or not second[0][1]:
        return 'not tried: the first had ended before the second'
    trial = second[0][0]
    if trial.outcome != ONE_LINE or 'another training' not in trial.last_line:
        return f'the second: {trial.outcome}: {trial.last_line}'
    last = f'run/epoch_{_EPOCHS}.pth'
    return difference(alone / last, folder / 'both' / last)
