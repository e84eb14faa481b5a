"""The page of experiments without a clear gain says what their cells say."""

from pathlib import Path

import pytest
from report_case import read_results

from lab.evidence.report.comparison import compare
from lab.evidence.report.markdown import Table
from lab.evidence.report.tables import overview_table
from lab.evidence.statistics.gains import Metric, paired_gains

EVIDENCE = Path(__file__).parents[3] / 'docs/evidence'
MATRICES = ('context-shapes', 'long', 'classifier-seed', 'starts')
AP = Metric('bbox', 'all', 'AP')


def detectors_of(matrix):
    results = read_results(EVIDENCE / matrix / 'cells')
    return [result for result in results if 'bbox' in result.metrics]


def table():
    """Gains by matrix and block, a line a comparison."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for matrix in MATRICES:
        found = overview_table(compare(detectors_of(matrix)))
        blocks = found.header[2:]  # The plain network's AP first.
        for title, _, *cells in found.rows:
            start = title.rpartition(', ')[2]
            name = f'{matrix}, {start}' if matrix == 'starts' else matrix
            for block, cell in zip(blocks, cells, strict=True):
                rows.setdefault((matrix, name), {})[block] = cell
    blocks = list(dict.fromkeys(block for row in rows.values() for block in row))
    lines = [[name, *(row.get(block, '-') for block in blocks)] for (_, name), row in rows.items()]
    return Table('', ['matrix', *blocks], lines).markdown().strip()


def test_the_table_is_that_of_the_cells():
    assert table() in (EVIDENCE / 'negative.md').read_text(encoding='utf-8')


@pytest.mark.parametrize('matrix', MATRICES)
def test_none_is_clear(matrix):
    gains = paired_gains(detectors_of(matrix), AP)
    assert gains and not any(gain.is_beyond_noise for gain in gains)
