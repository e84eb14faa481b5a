"""A run that was killed ends as if nothing had happened, and no damaged file of it is taken.

Such a file is seen, told of, and made again.
"""

from __future__ import annotations

import itertools
import resource
import shutil

import pytest
import torch
from matrix_case import PLAIN, SE, reproduce, write_matrix

from lab.evidence.matrix.matrix import Matrix
from lab.evidence.results.result import CellResult
from lab.evidence.run.cell import _experiment, run_cell
from lab.evidence.run.workspace import Workspace
from lab.evidence.seal import MENDED, SEALS, is_damaged, is_sound, sealed
from lab.evidence.training.lock import locked
from lab.forked_python import forked_python


def weights(folder):
    return torch.load(folder / 'epoch_2.pth', weights_only=False)['state_dict']


def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_happened(finished, tmp_path):
    assert f'running     {PLAIN}' in finished['while_running']
    assert f'interrupted {PLAIN}' in finished['interrupted']
    assert 'epoch_1' in finished['killed_at']
    assert 'done in all: 2 of 2' in finished['second']
    assert (finished['cells'] / PLAIN / 'result.json').is_file()
    log = (finished['cells'] / PLAIN / 'console.log').read_text()
    assert 'resumed epoch: 1' in log

    write_matrix(tmp_path, attention=['none'])
    assert reproduce(tmp_path, 'run', 'small.yaml').returncode == 0
    whole = weights(tmp_path / 'work_dirs/evidence/small' / PLAIN)
    resumed = weights(finished['cells'] / PLAIN)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_what_is_done_is_not_run_again(finished):
    before = {file: file.stat().st_mtime_ns for file in finished['cells'].glob('*/epoch_2.pth')}
    assert len(before) == 2
    again = reproduce(finished['folder'], 'run', 'small.yaml')
    assert again.returncode == 0 and '0 cells run; done in all: 2 of 2' in again.stdout
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert '2 done' in reproduce(finished['folder'], 'status', 'small.yaml').stdout


def test_a_report_needs_the_committed_results_only(finished, tmp_path):
    report = reproduce(finished['folder'], 'report', 'small.yaml')
    assert report.returncode == 0, report.stderr
    out = finished['folder'] / 'docs/evidence/small'
    assert {'report.md', 'gains.png', 'cells'} <= {f.name for f in out.iterdir()}
    results = {f.stem: CellResult.read(f) for f in (out / 'cells').glob('*.json')}
    assert set(results) == {PLAIN, SE}
    assert results[SE].cost['gate_parameters'] > 0 == results[PLAIN].cost['gate_parameters']
    assert results[SE].iterations == 4 and len(results[SE].resamples['bbox']['all']['AP']) == 5
    assert results[SE].commands[0].startswith('python tools/train.py work_dirs/evidence/small')
    # On a fresh machine, the results that lie with the project stand for their runs.
    (tmp_path / 'docs').symlink_to(finished['folder'] / 'docs')
    write_matrix(tmp_path)
    assert '2 done' in reproduce(tmp_path, 'status', 'small.yaml').stdout
    assert '0 cells run; done in all: 2 of 2' in reproduce(tmp_path, 'run', 'small.yaml').stdout
    # Another schedule has results of its own.
    changed = {'train_cfg.max_epochs': 3}
    write_matrix(tmp_path, schedules={'short': changed})
    assert '2 waiting' in reproduce(tmp_path, 'status', 'small.yaml').stdout


def test_a_result_that_cannot_be_read_hides_no_other(finished):
    (file,) = [f for f in finished['cells'].glob('*/result.json') if SE in str(f)]
    whole = file.read_text()
    try:
        file.write_text(whole[:100])
        shutil.rmtree(finished['folder'] / 'docs', ignore_errors=True)
        status = reproduce(finished['folder'], 'status', 'small.yaml')
        assert '1 done' in status.stdout
        assert status.stderr.count('not the result of a cell') == 1, status.stderr
        assert 'Warning' not in status.stderr
    finally:
        file.write_text(whole)


def hole(content):
    third = len(content) // 3
    return content[:third] + bytes(len(content) - 2 * third) + content[-third:]


def flip(content):
    half = len(content) // 2
    return content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]


DAMAGE = {
    'cut': lambda content: content[: len(content) // 2],
    'empty': lambda content: b'',
    'zeros': lambda content: bytes(len(content)),
    'hole': hole,
    'flipped bit': flip,
    'text': lambda content: b'<html>not found</html>\n',
    'no UTF-8': lambda content: b'\xff\xfe\n' * 9,
    'missing': None,
}
WAYS = pytest.mark.parametrize('way', DAMAGE)
# Written anew by each run, only shown, or empty; a folder of a test is not read at all.
NOT_READ = {f'{PLAIN}.py', 'config.py', 'cell.log', 'console.log', 'lock', 'training.lock', SEALS}


def damage(file, way):
    change = DAMAGE[way]
    content = file.read_bytes()
    file.unlink()
    if change is not None:
        assert change(content) != content
        file.write_bytes(change(content))


@pytest.fixture
def cell(finished, tmp_path, monkeypatch):
    """The plain cell of the finished run, to be damaged."""
    shutil.copytree(
        finished['folder'] / 'work_dirs',
        tmp_path / 'work_dirs',
        ignore=lambda _, names: [name for name in names if '-se_' in name],
    )
    write_matrix(tmp_path, attention=['none'])
    monkeypatch.chdir(tmp_path)
    with forked_python():
        yield tmp_path / 'work_dirs/evidence/small' / PLAIN


def workspace(cell):
    return Workspace(Matrix.read('small.yaml'), cell.parent.relative_to(cell.parents[3]))


def found(cell):
    """What a result says beside how long it took, and by which state of the project."""
    result = CellResult.read(cell / 'result.json')
    return {**vars(result), 'hours': None, 'versions': None}


def test_each_file_of_a_cell_has_a_checksum_or_is_not_read(cell):
    files = {file for file in cell.rglob('*') if file.is_file()}
    training = {file.parent.parent for file in cell.glob('*/vis_data/scalars.json')}
    assert len(training) == 2  # The run was killed once.
    rest = {
        file
        for file in files - sealed(cell)
        if file.name not in NOT_READ and file.suffix not in ('.log', '.pth')
    }
    assert {file.name for file in rest if file.parent == cell} == {'last_checkpoint'}
    assert not any(file.is_relative_to(folder) for file in rest for folder in training)
    assert not any(is_damaged(cell, file) for file in sealed(cell))
    assert all(is_sound(file) for file in files if file.suffix == '.pth')


@WAYS
def test_damage_is_seen(cell, way):
    files = sealed(cell)
    assert len(files) >= 8
    for file in files:
        damage(file, way)
        assert is_damaged(cell, file), file
    damage(cell / 'epoch_2.pth', way)
    assert not is_sound(cell / 'epoch_2.pth')


@pytest.mark.parametrize('first', [0, 3, 6])  # Of the ways: each file is damaged in another.
def test_what_is_left_is_measured_again(cell, first, capsys):
    before = found(cell)
    logs = sorted(cell.glob('*/vis_data/scalars.json'))
    notes = ['result.json', 'fingerprint', 'last_checkpoint', 'test_seconds', 'sessions.jsonl']
    files = [*(cell / name for name in notes), *logs, cell / f'{PLAIN}.py']
    ways = itertools.islice(itertools.cycle(DAMAGE), first, None)
    damaged = dict(zip(files, ways, strict=False))
    for file, way in damaged.items():
        damage(file, way)
    weights = (cell / 'epoch_2.pth').stat().st_mtime_ns
    space = workspace(cell)
    run_cell(space, space.runs[0])
    assert found(cell) == before
    assert (cell / 'epoch_2.pth').stat().st_mtime_ns == weights
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith(MENDED)]
    told = {line.removeprefix(MENDED).split(': ')[0].rpartition('/')[2] for line in lines}
    assert told == {*notes, 'scalars.json'} - {'last_checkpoint'}
    aside = {file.name for file in cell.rglob('*.damaged')}
    left = {file.name for file, way in damaged.items() if way != 'missing'}
    assert aside == {f'{name}.damaged' for name in told & left}
    assert space.state(space.runs[0]) == 'done'


@pytest.mark.parametrize('way', ['hole', 'flipped bit', 'missing'])
def test_without_its_seals_a_cell_is_taken_as_it_was(cell, way):
    before = found(cell)
    damage(cell / SEALS, way)
    (cell / 'result.json').unlink()
    space = workspace(cell)
    run_cell(space, space.runs[0])
    # Seals that tell of other files cost a test at most.
    assert found(cell) == before


def test_weights_and_logs_are_trained_again(cell):
    metrics = found(cell)['metrics'], found(cell)['resamples']
    for file in [cell / name for name in ('result.json', 'epoch_2.pth', 'test.bbox.json')]:
        damage(file, 'hole')
    for file in cell.glob('*/vis_data/*.json'):
        damage(file, 'hole')
    again = reproduce(cell.parents[3], 'run', 'small.yaml')
    assert again.returncode == 0, again.stdout + again.stderr
    assert '1 cells run; done in all: 1 of 1' in again.stdout
    assert (found(cell)['metrics'], found(cell)['resamples']) == metrics
    told = [line for line in again.stdout.splitlines() if line.startswith(MENDED)]
    assert len(told) == 7  # Of two files of each training, too.


@pytest.mark.parametrize('size', [100, 5000])  # For the seals; for the config.
def test_a_full_disk_loses_nothing(cell, size, capsys):
    before, weights = found(cell), (cell / 'epoch_2.pth').stat().st_mtime_ns
    (cell / 'result.json').unlink()
    limits, space = resource.getrlimit(resource.RLIMIT_FSIZE), workspace(cell)
    (run,) = space.runs
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        with pytest.raises(OSError, match='too large'):
            run_cell(space, run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    run_cell(space, run)
    assert found(cell) == before
    assert (cell / 'epoch_2.pth').stat().st_mtime_ns == weights
    assert not list(cell.rglob('*.damaged')) and not list(cell.rglob('*.part'))


def test_a_run_that_nobody_knows_is_set_aside(cell, capsys):
    for name in (SEALS, 'fingerprint', 'result.json'):
        damage(cell / name, 'zeros')
    space = workspace(cell)
    with locked(cell):
        _experiment(space.runs[0], space.launch).claim()
    assert not list(cell.glob('epoch_*.pth'))
    assert (cell / 'run-1.damaged/epoch_2.pth').is_file()
    assert 'which run it holds is not known, now in run-1.damaged' in capsys.readouterr().err
