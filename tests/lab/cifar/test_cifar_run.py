"""A table is trained cell by cell, resumed, and never trained twice."""

import subprocess
import sys
from dataclasses import replace

import pytest
from cifar_case import make_workspace, write_arrays

from ge_det.errors import UserError
from lab.cifar.run import run, status
from lab.cifar.table import Table
from lab.evidence.results.result import CellResult

CELL = 'resnet-8_r8-se_cifar10_seed0'


def test_a_cell_is_trained_once(tmp_path, request, capsys, peers):
    root = request.config.rootpath
    workspace = make_workspace(tmp_path, root, only=CELL)
    command = [sys.executable, '-m', 'lab.cifar', 'run', str(workspace.table.file)]
    places = dict(data=workspace.data, out=workspace.out, work_dir=workspace.work_dir, cells=CELL)
    options = [f'--{name.replace("_", "-")}={value}' for name, value in places.items()]
    ran = subprocess.run([*command, *options], cwd=root, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f'{CELL}: error ' in ran.stdout and '1 of 1 done' in ran.stdout
    file = workspace.out / f'cells/{CELL}.json'
    result = CellResult.read(file)
    assert result.metrics['accuracy']['all']['top1'] == pytest.approx(0.1, abs=0.21)
    assert (result.epochs, result.iterations) == (1, 2)
    assert result.images == dict(train=256, val=40)
    assert result.annotations == workspace.digests
    assert 0.078 < result.cost['parameters'] < 0.082
    assert result.hours['training'] > 0
    # The result alone tells that it is done; without it the last checkpoint is measured again.
    written = file.read_bytes()
    assert run(workspace, jobs=1, threads=1) == 0
    assert file.read_bytes() == written
    file.unlink()
    trained = workspace.work_dir / CELL / 'epoch_1.pth'
    before = trained.stat().st_mtime_ns
    assert run(workspace, jobs=1, threads=1) == 0
    assert trained.stat().st_mtime_ns == before
    assert CellResult.read(file).metrics == result.metrics
    assert [*status(workspace)][-1] == '1 of 1 done'
    # Cells of one table have seen the same pictures.
    write_arrays(workspace.data, train=130)
    other = replace(workspace)  # As after a new start.
    with pytest.raises(UserError, match='trained on other pictures'):
        run(other, jobs=1, threads=1)


def test_a_result_of_another_config_does_not_count(tmp_path, request):
    workspace = make_workspace(tmp_path, request.config.rootpath)
    first, second = workspace.cells[:2]
    result = CellResult(first.key, first.fingerprint, '', [], {})
    result.write(workspace.result_file(first))
    assert workspace.result(first) == result
    assert workspace.result(second) is None
    CellResult(first.key, second.fingerprint, '', [], {}).write(workspace.result_file(first))
    assert workspace.result(first) is None
    workspace.result_file(first).write_text('{')
    with pytest.raises(UserError, match='move it away'):
        workspace.result(first)


def test_cells_come_seed_by_seed(tmp_path, request):
    workspace = make_workspace(tmp_path, request.config.rootpath)
    keys = [cell.key for cell in workspace.cells]
    assert [(k.seed, k.attention) for k in keys] == [
        (0, 'none'),
        (0, 'se'),
        (1000, 'none'),
        (1000, 'se'),
    ]
    assert len({cell.fingerprint for cell in workspace.cells}) == 4
    moved = workspace.cells[0]
    before = moved.fingerprint
    moved.config.train_dataloader.dataset.data_root = 'elsewhere'
    assert moved.fingerprint == before
    moved.config.train_cfg.max_epochs = 9
    assert moved.fingerprint != before


@pytest.mark.parametrize('name', ['cifar10', 'cifar10-table5'])
def test_the_tables_of_the_project_are_whole(name, request):
    table = Table.read(request.config.rootpath / f'lab/cifar/{name}.yaml')
    cells = table.cells()
    assert len(cells) == len(table.networks) * len(table.attention) * 5
    for cell in cells:
        backbone = cell.config.model.backbone
        assert f'{backbone.depth}' in cell.key.detector
        assert cell.config.train_dataloader.dataset.augment
    papers = {'none', 'se', 'ge-theta-minus', 'ge-theta', 'ge-theta-plus'}
    assert {*table.attention} - {'sge'} == papers


@pytest.mark.parametrize(
    ('text', 'told'),
    [
        ('title: T', 'about: Field required'),
        ('- a', 'no table in YAML'),
        ('title: T\nextra: 1', 'unknown'),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(tmp_path, text, told):
    file = tmp_path / 't.yaml'
    file.write_text(text)
    with pytest.raises(UserError, match=told) as caught:
        Table.read(file)
    assert '\n' not in str(caught.value)
    with pytest.raises(UserError, match='no such table file'):
        Table.read(tmp_path / 'none.yaml')
