"""Every table in docs/evidence comes out of the results beside it."""

from pathlib import Path

import pytest
from PIL import Image
from report_case import read_results

from lab.evidence.command import report_of
from lab.evidence.matrix.matrix import Matrix
from lab.evidence.run.workspace import Workspace

ROOT = Path(__file__).parents[3]
EVIDENCE = ROOT / 'docs/evidence'
TABLES = {EVIDENCE / file.stem for file in (ROOT / 'lab/cifar').glob('*.yaml')}  # No matrices.
COMMITTED = sorted({file.parent for file in EVIDENCE.glob('*/report.md')} - TABLES)
WITH_CELLS = sorted({file.parents[1] for file in EVIDENCE.glob('*/cells/*.json')} - TABLES)


def workspace_of(folder):
    files = [*Path('lab/configs').glob('*.yaml'), *Path('configs/coco').glob('*.yaml')]
    (matrix,) = (m for m in map(Matrix.read, files) if m.name == folder.name)
    return Workspace(matrix, Path('work_dirs/nowhere'), committed=folder / 'cells')


@pytest.mark.parametrize('folder', COMMITTED, ids=lambda folder: folder.name)
def test_a_report_comes_out_of_its_cells(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    files = report_of(workspace_of(folder), tmp_path)
    made = {file.name for file in files}
    results = read_results(folder / 'cells')
    pictures = {'gains.png', 'curves.png'} if results else set()
    with_groups = {
        result.key.data
        for result in results
        if any(name.startswith('bbox AP, ') for name in result.curve)
    }
    pictures |= {'groups.png'} if with_groups else set()
    pictures |= {'data.png'} if len(with_groups) > 2 else set()
    assert made == {'report.md', *pictures}
    assert made == {file.name for file in folder.glob('*.*')}
    for file in files:
        committed = folder / file.name
        if file.suffix == '.png':  # Fonts differ from machine to machine.
            assert Image.open(committed).text == Image.open(file).text != {}
        else:
            assert file.read_text(encoding='utf-8') == committed.read_text(encoding='utf-8')


@pytest.mark.parametrize('folder', WITH_CELLS, ids=lambda folder: folder.name)
def test_committed_results_belong_to_the_committed_configs(folder, monkeypatch):
    monkeypatch.chdir(ROOT)
    planned = {run.key: run for run in workspace_of(folder).runs}
    for result in read_results(folder / 'cells'):
        assert result.fingerprint == planned[result.key].fingerprint, result.name
        assert result.hours['training'] > 0 and result.versions['commit']
        assert 'dirty' not in result.versions['commit']


def test_something_is_committed():
    assert COMMITTED and WITH_CELLS
