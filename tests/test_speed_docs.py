"""What the pages say of speed is recomputed from the measured times."""

import json
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PEERS = ('mmpretrain', 'timm', 'mmcv')

MAIN = {
    'inference': '| block | 480×800 | 800×1344 | plug-in | as published | other libraries |',
    'training': '| block | 480×800 | 800×1344 | plug-in | other libraries | kept | kept: plug-in |',
}


def text_of(page):
    return (ROOT / page).read_text(encoding='utf-8')


def rows_of(text, header):
    """Cells of a Markdown table by the first cell of each row."""
    lines = text[text.index(header) :].split('\n\n')[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    return {row[0].strip('`'): row[1:] for row in rows}


def groups_of(name):
    return json.loads(text_of(f'docs/speed_{name}.json'))['groups']


def over(group, name):
    """The median and quartiles of a contender's time over the plain network's in each round."""
    times = group['seconds']
    ratios = [a / b for a, b in zip(times[name], times['plain'], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method='inclusive')
    return f'{middle:.2f} ({low:.2f}-{high:.2f})'


def median_of(group, name):
    return over(group, name).split()[0]


def span(groups, name):
    """The smallest and the largest median of a contender."""
    found = sorted(median_of(group, name) for group in groups if name in group['seconds'])
    return f'{found[0]} to {found[-1]}'


@pytest.mark.parametrize('mode', MAIN)
def test_times_are_what_was_measured(mode):
    small, large = groups_of(mode), groups_of(f'{mode}_large')
    text = text_of('docs/speed.md')
    rows = rows_of(text, MAIN[mode])
    assert [*rows, 'context-block'] == list(small) and set(large) <= set(rows)
    for block, (at_small, at_large, plugin, *others) in rows.items():
        group = small[block]
        assert (at_small, plugin) == (over(group, 'ours'), over(group, 'module'))
        assert at_large == (over(large[block], 'ours') if block in large else '-')
        told = ', '.join(
            f'{peer} {median_of(group, peer)}' for peer in PEERS if peer in group['seconds']
        )
        expected = [told or '-']
        if mode == 'inference':
            expected.insert(0, over(group, 'published'))
        else:
            kept = group['kept_bytes']
            expected += [
                f'{100 * (kept[name] / kept["plain"] - 1):+.1f} %' for name in ('ours', 'module')
            ]
        assert others == expected
    for groups, size in ((small, '480×800'), (large, '800×1344')):
        assert f'{span(groups.values(), "control")} at {size}' in text


@pytest.mark.parametrize('mode', MAIN)
def test_what_is_said_of_them_holds(mode):
    groups = [*groups_of(mode).values(), *groups_of(f'{mode}_large').values()]
    text = text_of('docs/speed.md')
    assert f"{span(groups, 'ours')} of the plain ResNet-50's time" in text
    moved = [g['moved_bytes'] for g in groups if 'ours' in g['seconds']]
    more = [round(100 * (m['ours'] / m['plain'] - 1)) for m in moved]
    assert f'{min(more):+} % to {max(more):+} % of the bytes' in text
    if mode == 'inference':
        highest = span(groups_of(mode).values(), 'published').split()[-1]
        assert f'up to {highest}.' in text
        low, high = map(float, span(groups, 'ours').split(' to '))
        told = f"{low:.1f} to {high:.1f} of the plain ResNet-50's time"
        assert told in text_of('README.md')
