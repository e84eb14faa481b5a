"""What padding does is measured: features by block, detections of a detector."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ge_det.catalogue import NAMES
from ge_det.errors import UserError
from lab.padding import features
from lab.padding.detections import checkpoint_of, compare, table
from lab.padding.features import Row, measure
from lab.padding.pictures import MIXED, SIZES

DOCS = Path(__file__).parents[3] / 'docs'


@pytest.mark.parametrize('name', ['se', 'ge-theta-minus-e8'])
def test_features_change_with_padding_but_for_the_option(name):
    row = measure(name, full=16)
    assert row.beside > 1e-3 and row.beside_on < 1e-5 and row.wider_on < 1e-5
    # Windows of eight positions bring the padding no farther than that.
    assert (row.wider > 1e-3) == (name == 'se')


def test_of_a_plain_network_only_the_border_changes():
    row = measure(NAMES[0], full=16)
    assert row.wider < 1e-6 < 1e-4 < row.beside == row.beside_on


def test_pictures_of_four_sizes_and_no_other_pictures():
    drawn = [MIXED.draw('val', index) for index in range(5)]
    assert [one.image.shape[:2] for one in drawn] == [*SIZES, SIZES[0]]
    assert not np.array_equal(drawn[0].image, drawn[4].image)


def test_a_detector_at_both_batch_sizes(demo, tmp_path):
    """The committed detector with gates that do something, and without the padding that counts."""
    shaken = {key: value.clone() for key, value in demo.gated.state_dict().items()}
    for key, value in shaken.items():
        if 'se_layer.conv2.conv.weight' in key:
            value += 0.5 * torch.randn_like(value)
    torch.save(dict(state_dict=shaken, meta={}), tmp_path / 'shaken.pth')
    cells = compare(tmp_path / 'shaken.pth', 8)
    assert list(cells) == ['plain', 'se', 'own']
    assert all(list(cell['AP']) == ['1', '8'] for cell in cells.values())
    assert cells['plain']['AP']['1'] > 0.4
    changed = {name: cell['changed'] / cell['compared'] for name, cell in cells.items()}
    assert changed['own'] <= changed['plain'] + 0.02 < changed['se']
    rows = table(cells).splitlines()
    assert rows[2].startswith('| plain ') and rows[4].startswith('| SE, `valid_area` ')


def test_the_demo_has_not_run(tmp_path):
    with pytest.raises(UserError, match='no training of the demo; `make demo` makes one'):
        checkpoint_of(tmp_path)


def test_the_tables_of_the_page_are_those_of_the_figures():
    page = (DOCS / 'blocks.md').read_text('utf-8')
    rows, cells = (
        json.loads((DOCS / f'padding_{name}.json').read_text())
        for name in ('features', 'detections')
    )
    assert list(rows) == list(NAMES) and len(cells) == 3
    assert features.table(rows.items()) in page and table(cells) in page
    assert all(Row(*row).beside_on <= 1e-5 for name, row in rows.items() if name != NAMES[0])
