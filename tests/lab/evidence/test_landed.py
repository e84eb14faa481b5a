"""Every table in docs/evidence comes out of the results beside it."""

import re
from pathlib import Path

import pytest
from PIL import Image
from report_case import read_results

from lab.evidence.matrix.matrix import Matrix
from lab.evidence.matrix.workplace import Workplace
from lab.evidence.report import write_matrix_report

ROOT = Path(__file__).parents[2]
LANDED = sorted(file.parent for file in (ROOT / 'docs/evidence').glob('*/report.md'))


def place_of(folder):
    files = [*Path('lab/configs').glob('*.yaml'), *Path('configs/coco').glob('*.yaml')]
    (matrix,) = (m for m in map(Matrix.read, files) if m.name == folder.name)
    return Workplace(matrix, Path('work_dirs/nowhere'), landed=folder / 'cells')


@pytest.mark.parametrize('folder', LANDED, ids=lambda folder: folder.name)
def test_a_report_comes_out_of_its_cells(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    files = write_matrix_report(place_of(folder), tmp_path)
    made = {file.name for file in files}
    pictures = {'gains.png', 'cost.png', 'curves.png'} if [*folder.glob('cells/*.json')] else set()
    assert made == {'report.md', 'report.html', *pictures}
    assert made == {file.name for file in folder.glob('*.*')}
    for file in files:
        landed = folder / file.name
        if file.suffix == '.png':  # Fonts differ from machine to machine.
            assert Image.open(landed).text == Image.open(file).text != {}
        else:
            assert text_of(file) == text_of(landed)


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
        assert 'dirty' not in result.versions['commit']


def test_something_has_landed():
    assert LANDED
