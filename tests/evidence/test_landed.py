"""Every table in docs/evidence comes out of the results beside it."""

import re
from pathlib import Path

import pytest

from ge_det.evidence.command import write_report_of
from ge_det.evidence.matrix.matrix import Matrix
from ge_det.evidence.matrix.result import read_results
from ge_det.evidence.matrix.workplace import Workplace

ROOT = Path(__file__).parents[2]
LANDED = sorted(folder.parent for folder in (ROOT / 'docs/evidence').glob('*/cells'))


def place_of(folder):
    files = [*Path('configs/evidence').glob('*.yaml'), *Path('configs/coco').glob('*.yaml')]
    (matrix,) = (m for m in map(Matrix.read, files) if m.name == folder.name)
    return Workplace(matrix, Path('work_dirs/nowhere'), landed=folder / 'cells')


@pytest.mark.parametrize('folder', LANDED, ids=lambda folder: folder.name)
def test_a_report_comes_out_of_its_cells(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    files = write_report_of(place_of(folder), tmp_path)
    assert {file.name for file in files} >= {'report.md', 'report.html', 'gains.png', 'curves.png'}
    for file in files:
        landed = folder / file.name
        if file.suffix == '.png':  # Fonts differ from machine to machine.
            assert landed.read_bytes()[:4] == b'\x89PNG'
        else:
            made, kept = (text_of(path) for path in (file, landed))
            assert made == kept


def text_of(file):
    return re.sub(r'base64,[^"]*', '', file.read_text(encoding='utf-8'))


@pytest.mark.parametrize('folder', LANDED, ids=lambda folder: folder.name)
def test_landed_results_belong_to_the_landed_configs(folder, monkeypatch):
    monkeypatch.chdir(ROOT)
    place = place_of(folder)
    planned = {cell.key: cell for cell in place.cells}
    for result in read_results(folder / 'cells'):
        assert result.fingerprint == place.fingerprint(planned[result.key]), result.name
        assert result.hours['training'] > 0 and result.versions['commit']
        assert not result.versions['commit'].endswith('dirty')


def test_something_has_landed():
    assert LANDED
