"""The page stands alone, and a folder holds the pictures of its last page only."""

import json
from pathlib import Path

import pytest
from html_page import Page

from ge_det.inspect.figure import Figure
from ge_det.inspect.page import Section, write_page

pytest.importorskip('jinja2')
PNG = b'\x89PNG\r\n\x1a\n' + bytes(24)


def test_the_page_stands_alone(tmp_path):
    figure = Figure('Maps of a/b <i>.png', PNG, 'caption & more', {'gate': [0.5, float('nan')]})
    section = Section('Gates', ['text'], [figure], [('unit', 'mean'), ('layer1.0', '0.5')])
    page = Page(write_page(tmp_path / 'out', 'my', 'sub', [section], {'pictures': 3}))
    assert page.loads and all(one.startswith('data:image/png;base64,') for one in page.loads)
    assert {'script', 'link', 'i'}.isdisjoint(page.tags)
    for text in ('my', 'sub', 'Gates', 'layer1.0', 'Maps of a/b <i>.png', 'caption & more'):
        assert text in page.text
    told = json.loads((tmp_path / 'out/numbers.json').read_text())
    ((file, numbers),) = told['figures'].items()
    assert (tmp_path / 'out/figures' / file).read_bytes() == PNG
    assert numbers['gate'] == [0.5, None] and told['pictures'] == 3


def test_a_second_page_takes_away_what_the_first_has_left(tmp_path):
    def write(*titles):
        write_page(tmp_path, 'my', '', [Section('S', [], [Figure(t, PNG, '') for t in titles])], {})
        return sorted(path.name for path in Path(tmp_path, 'figures').iterdir())

    assert write('a', 'b') == ['01-a.png', '02-b.png']
    (tmp_path / 'figures/03-mine.png').write_bytes(b'mine')
    assert write('c') == ['01-c.png', '03-mine.png']
