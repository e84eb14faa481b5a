"""`tools/reproduce.py run`: a failed cell does not stop the others, a busy one is left alone."""

import json
from pathlib import Path

import pytest
from matrix_case import PLAIN, reproduce, write_matrix

from lab.evidence.arguments import parser
from lab.evidence.matrix.matrix import Matrix
from lab.evidence.results.result import CellResult
from lab.evidence.run.cell import run_cell
from lab.evidence.run.local import LocalExecutor
from lab.evidence.run.loop import run_cells
from lab.evidence.run.workspace import Workspace
from lab.evidence.training.lock import BusyError, hold_training, is_locked, locked
from lab.forked_python import forked_python


def test_a_failed_cell_is_named_and_the_rest_runs(tmp_path):
    bad = {'optim_wrapper.optimizer.type': 'NoSuchOptimizer'}
    good = {'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 9}
    write_matrix(tmp_path, attention=['none'], schedules=dict(bad=bad, good=good))
    done = reproduce(tmp_path, 'run', 'small.yaml', '--jobs', '2')
    assert done.returncode == 1
    assert '1 cells run; done in all: 1 of 2' in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith('failed: ')]
    assert 'context-shapes_bad_seed0' in line and 'TypeError' in line
    status = reproduce(tmp_path, 'status', 'small.yaml').stdout
    assert 'failed' in status and 'TypeError' in status and '1 done' in status


def test_a_cell_that_another_process_runs_is_left_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = Workspace(Matrix.read(write_matrix(tmp_path, attention=['none'])), tmp_path / 'runs')
    (run,) = space.runs
    with locked(run.folder), forked_python():
        assert is_locked(run.folder)
        assert space.state(run) == 'running'
        outcome = run_cells(space, LocalExecutor(1))
    assert [run.name for run in outcome.busy] == [PLAIN] and not outcome.failed
    assert not is_locked(run.folder)


def test_a_training_whose_parents_were_killed_is_not_joined(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = Workspace(Matrix.read(write_matrix(tmp_path, attention=['none'])), tmp_path / 'runs')
    (run,) = space.runs
    run.folder.mkdir(parents=True)
    with hold_training(run.folder), hold_training(run.folder):  # Two ranks.
        assert space.state(run) == 'running'
        with pytest.raises(BusyError, match='another process runs this cell'):
            run_cell(space, run)
    assert space.state(run) == 'waiting'


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['run', 'none.yaml'], 'none.yaml: no such matrix file; check the path'),
        (['run', 'small.yaml', '--cells', '*sge*'], "--cells '*sge*' matches no cell"),
        (['run', 'small.yaml', '--work-dir', 'a b'], "'a b': mmdet takes no ' ' in values of"),
        (['plan', 'small.yaml', '--work-dir', '{{x}}'], "--work-dir '{{x}}' holds '{{'"),
        (['run', 'small.yaml', '--executor', 'slurm'], '--executor slurm needs --partition'),
        (['run', 'small.yaml', '--executor', 'slurm', '--partition', 'a'], 'srun is not on PATH'),
    ],
)
def test_errors_are_one_line(tmp_path, arguments, said):
    write_matrix(tmp_path)
    done = reproduce(tmp_path, *arguments)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith('reproduce: ')]
    assert len(lines) == 1 and said in lines[0]


@pytest.mark.parametrize('option', ['--jobs=-1', '--jobs=0', '--threads=0', '--jobs=few'])
def test_counts_are_whole_numbers_from_1(option, capsys):
    with pytest.raises(SystemExit) as ended:
        parser('').parse_args(['run', 'small.yaml', option])
    assert ended.value.code == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.endswith(f'{option.split("=")[1]!r} must be a whole number from 1')


def test_photos_that_are_not_there_are_asked_for(tmp_path):
    write_matrix(tmp_path, data={'context-shapes': dict(about='draw them first')})
    done = reproduce(tmp_path, 'run', 'small.yaml')
    assert done.returncode == 2
    assert 'not there. data context-shapes: draw them first' in done.stderr


def test_a_result_is_read_as_it_was_written_or_not_at_all(tmp_path):
    cells = Path(__file__).parents[3] / 'docs/evidence/context-shapes/cells'
    committed = min(cells.glob('faster*.json'))
    file = tmp_path / committed.name
    CellResult.read(committed).write(file)
    assert file.read_bytes() == committed.read_bytes()
    file.write_text(json.dumps(dict(a=1)))
    with pytest.raises(ValueError, match='not the result of a cell'):
        CellResult.read(file)
    for name, value, said in (
        ('format', 0, 'format: .*not 0'),
        ('key', {}, 'key data: '),
        ('metrics', 'x', 'metrics: '),
        ('metrics', {'bbox': {'all': {'AP': '0.3'}}}, "metrics bbox all AP: .*not '0.3'"),
        ('resamples', {'bbox': {'all': [0.3]}}, 'resamples bbox all: '),
        ('curve', {'loss': [[1, 2, 3]]}, 'curve loss 0: '),
    ):
        file.write_text(json.dumps({**json.loads(committed.read_text()), name: value}))
        with pytest.raises(ValueError, match=f'not the result of a cell .*{said}'):
            CellResult.read(file)
