"""AP over data sets that make a row: which marks and lines a picture has."""

from dataclasses import replace

from report_case import cell, key

from lab.evidence.report import data_plots, write_report
from lab.evidence.report.comparison import compare

CONTEXT = {'near': {'none': (0.9, 0.8), 'se': (0.95,)}, 'far': {'none': (0.5,), 'se': (0.9, 0.7)}}


def cells(data):
    for name, blocks in data.items():
        for block, values in blocks.items():
            for seed, ap in enumerate(values):
                told = dict(curve={'bbox AP, context': [(1, ap)]}, epochs=1, iterations=9)
                made = cell(key(block, seed, data=name), 0.3, **told)
                yield replace(made, metrics={'bbox': {'all': {'AP': 0.3}, 'context': {'AP': ap}}})


def test_a_line_joins_the_means_of_a_block(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(data_plots, 'save_figure', lambda figure, *rest: figures.append(figure))
    data = {**CONTEXT, 'farther': {'none': (0.4,)}}  # SE has yet to run there.
    assert data_plots.draw_data(compare(cells(data)), tmp_path / 'data.png')
    (axes,) = figures[0].axes
    assert [text.get_text() for text in axes.get_xticklabels()] == [*data]
    marks, means = axes.lines[::2], axes.lines[1::2]
    found = [
        [tuple(map(float, point)) for point in zip(*line.get_data(), strict=True)]
        for line in (*marks, *means)
    ]
    assert [[(x, round(y, 6)) for x, y in points] for points in found] == [
        [(0, 90), (0, 80), (1, 50), (2, 40)],
        [(0, 95), (1, 90), (1, 70)],
        [(0, 85), (1, 50), (2, 40)],
        [(0, 95), (1, 80)],
    ]


def test_two_data_sets_make_no_row(tmp_path):
    names = [file.name for file in write_report([*cells(CONTEXT)], tmp_path, 'Title')]
    assert 'groups.png' in names and 'data.png' not in names
    data = {**CONTEXT, 'farther': {'none': (0.4,)}}
    files = write_report([*cells(data)], tmp_path, 'Title')
    assert 'data.png' in [file.name for file in files]
    assert '(data.png)' in files[0].read_text(encoding='utf-8')
