"""Each file of a training and of a finished cell damaged in each way, then run again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ge_det.cli.main import run as run_ge_det

from ..parallel import in_parallel
from ..place import EPOCHS, Place
from ..small_matrix import CELL, RESULT, other_findings, reproduce, write_matrix
from ..states import difference
from ..table import Table
from ..trial import ACCEPTED, ONE_LINE, attempt, fresh

ABOUT = (
    'Files of an interrupted training and of a finished cell, each damaged in each way; then the '
    'same command again. Right is the end of an undisturbed run, or one line.'
)


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x40]) + data[middle + 1 :]


WAYS: dict[str, Callable[[bytes], bytes] | None] = {
    'missing': None,
    'empty': lambda data: b'',
    'cut': lambda data: data[: len(data) // 2],
    'zeros': lambda data: bytes(len(data)),
    'a bit': _flip,
    'not UTF-8': lambda data: b'\xff\xfe\x80' + data[3:],
    'another text': lambda data: b'nothing of the kind\n',
}
TRAINING = ('run/last_checkpoint', 'run/epoch_2.pth')
UNFINISHED = (f'cells/{CELL}/epoch_2.pth', f'cells/{CELL}/last_checkpoint')
CELL_FILES = (RESULT, *UNFINISHED)


def run(place: Place, jobs: int) -> Table:
    """Damage everything."""
    folder = fresh(place.tries / 'states')
    place.must(partial(_train, place, 2), folder / 'interrupted')
    place.must(partial(_train, place, EPOCHS), folder / 'straight')
    write_matrix(fresh(folder / 'matrix'))
    place.must(reproduce, folder / 'matrix')
    table = Table('Damaged states', ABOUT, ['file', *WAYS])
    # More of a cell's files than those named here count, wherever they lie.
    files = [*TRAINING, *CELL_FILES, *_small_files(folder / 'matrix')]
    tasks = [(place, folder, file, way) for file in files for way in WAYS]
    faults = in_parallel(_damaged, tasks, jobs)
    for index, file in enumerate(files):
        found = faults[index * len(WAYS) : (index + 1) * len(WAYS)]
        table.count(file.replace(CELL, 'CELL'), *((int(fault is None), 1) for fault in found))
        table.faults += [
            f'{file}, {way}: {fault}' for way, fault in zip(WAYS, found, strict=True) if fault
        ]
    return table


def _small_files(matrix: Path) -> list[str]:
    """What a cell keeps beside checkpoints, but for logs of single runs."""
    files = [
        file
        for file in (matrix / 'cells' / CELL).iterdir()
        if file.is_file() and file.stat().st_size and file.suffix != '.pth'
    ]
    names = [str(file.relative_to(matrix)) for file in sorted(files)]
    return [name for name in names if name not in CELL_FILES]


def _train(place: Place, epochs: int) -> object:
    arguments = place.train_arguments('run', f'train_cfg.max_epochs={epochs}')
    return run_ge_det('train', arguments)


def _damaged(task: tuple[Place, Path, str, str]) -> str | None:
    place, root, name, way = task
    is_training = name in TRAINING
    source = root / ('interrupted' if is_training else 'matrix')
    folder = root / f'{name.replace("/", "-")} {way}'.replace(' ', '-')
    shutil.copytree(source, folder)
    file, change = folder / name, WAYS[way]
    if name in UNFINISHED:  # As if ended before the test: of a finished cell nobody reads them.
        (folder / RESULT).unlink()
    if change is None:
        file.unlink()
    else:
        file.write_bytes(change(file.read_bytes()))
    if is_training:
        arguments = place.train_arguments('run')
        arguments = [arguments[0], '--resume', *arguments[1:]]
        trial = attempt(lambda: run_ge_det('train', arguments), folder, 300)
        last = f'run/epoch_{EPOCHS}.pth'
        wrong = difference(root / 'straight' / last, folder / last)
    else:
        trial = attempt(reproduce, folder, 300)
        wrong = other_findings(folder, source)
    shutil.rmtree(folder)
    if trial.outcome == ACCEPTED:
        return wrong
    return None if trial.outcome == ONE_LINE else f'{trial.outcome}: {trial.last_line}'
