"""What the evidence page and the README say of far context is what the cells found."""

from pathlib import Path
from statistics import fmean

import pytest

from lab.evidence.matrix.matrix import Matrix
from lab.evidence.results.result import CellResult

ROOT = Path(__file__).parents[3]
EVIDENCE = ROOT / 'docs/evidence'
SECTIONS = {
    'far-context': 'Context beyond the field of view',
    'far-context-extents': 'Other extents',
}


def blocks_of(matrix):
    """Names of blocks in reports, by what cells are called."""
    names = Matrix.read(ROOT / f'lab/configs/{matrix}.yaml').attention
    return {
        '' if name == 'none' else name: 'plain' if name == 'none' else f'`{name}`' for name in names
    }


def context_ap(matrix, block, data='far-context'):
    """AP of the context classes by test, a list over the seeds that were run."""
    name = f'*_r50{block and f"-{block}"}_{data}_trained-on_attached_seed*.json'
    files = sorted((EVIDENCE / matrix / 'cells').glob(name))
    metrics = [CellResult.read(file).metrics['bbox'] for file in files]
    return {
        test: [100 * found[f'context{test}']['AP'] for found in metrics]
        for test in ('', ', no-marks', ', swapped')
    }


def rows_of(heading):
    """The rows of the table below a heading of the page."""
    page = (EVIDENCE / 'README.md').read_text(encoding='utf-8')
    section = page.split(f'\n## {heading}\n')[1].split('\n## ')[0]
    return [line for line in section.splitlines() if line.startswith('|')][2:]


def told(values):
    return ', '.join(f'{value:.1f}' for value in values)


@pytest.mark.parametrize('matrix', SECTIONS)
def test_the_page_says_what_the_cells_found(matrix):
    expected = []
    for block, title in blocks_of(matrix).items():
        found = context_ap(matrix, block)
        reads = sum(value > 75 for value in found[''])  # Half are guessed right without them.
        values = map(told, found.values())
        expected.append(f'| {title} | {reads} of {len(found[""])} | {" | ".join(values)} |')
    assert rows_of(SECTIONS[matrix]) == expected


def test_the_page_says_how_far_the_marks_may_be():
    distances = ('clear-8', 'clear-32', 'far-context')
    expected = []
    for block, title in blocks_of('clearance').items():
        values = (told(context_ap('clearance', block, data)['']) for data in distances)
        expected.append(f'| {title} | {" | ".join(values)} |')
    assert rows_of('How far away') == expected


def test_the_readme_says_what_se_reads():
    readme = (ROOT / 'README.md').read_text(encoding='utf-8')
    se, plain = (fmean(context_ap('far-context', block)['']) for block in ('se', ''))
    assert f'{se:.0f} AP against {plain:.0f}' in ' '.join(readme.split())
