"""What the pages say of speed is recomputed from the measured times."""

import json
import statistics
from pathlib import Path

ROOT = Path(__file__).parents[1]


def text_of(page):
    return (ROOT / page).read_text(encoding='utf-8')


def rows_of(text, header):
    """Cells of a Markdown table by the first cell of each row."""
    lines = text[text.index(header) :].split('\n\n')[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    return {row[0].strip('`'): row[1:] for row in rows}


def speed_groups(name):
    return json.loads(text_of(f'docs/{name}.json'))['groups']


def over_plain(group, name):
    """The median and quartiles of a contender's time over the plain network's in each round."""
    times = group['seconds']
    ratios = [a / b for a, b in zip(times[name], times['plain'], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method='inclusive')
    return f'{middle:.2f} ({low:.2f}-{high:.2f})'


def medians(groups, name):
    """The smallest and the largest median of a contender."""
    found = [over_plain(g, name).split()[0] for g in groups if name in g['seconds']]
    return f'{min(found)} to {max(found)}'


def test_speed_of_inference_is_what_was_measured():
    small, large = speed_groups('speed_inference'), speed_groups('speed_inference_large')
    text = text_of('docs/speed.md')
    rows = rows_of(text, '| block | 480×800 | 800×1344 | plug-in |')
    assert [*rows, 'context-block'] == list(small) and set(large) <= set(rows)
    for block, (at_small, at_large, plugin, published, others) in rows.items():
        group = small[block]
        cells = dict(ours=at_small, module=plugin, published=published)
        assert cells == {name: over_plain(group, name) for name in cells}
        assert at_large == (over_plain(large[block], 'ours') if block in large else '-')
        peers = [p for p in ('mmpretrain', 'timm', 'mmcv') if p in group['seconds']]
        told = ', '.join(f'{peer} {over_plain(group, peer).split()[0]}' for peer in peers)
        assert others == (told or '-')
    for groups, size in ((small, '480×800'), (large, '800×1344')):
        assert f'{medians(groups.values(), "control")} at {size}' in text
    ours = [*small.values(), *large.values()]
    assert f"{medians(ours, 'ours')} of the plain ResNet-50's time" in text
    assert f'up to {medians(small.values(), "published").split()[-1]}.' in text
    low, high = map(float, medians(ours, 'ours').split(' to '))
    told = f"{low:.1f} to {high:.1f} of the plain ResNet-50's time"
    assert told in text_of('README.md')


def test_speed_of_training_is_what_was_measured():
    groups = speed_groups('speed_training')
    rows = rows_of(text_of('docs/speed.md'), '| block | published | plug-in | fused | kept')
    assert len(rows) >= 7
    for block, cells in rows.items():
        kept = groups[block]['kept_bytes']
        for name, time, memory in zip(
            ('published', 'module', 'ours'), cells[:3], cells[3:], strict=True
        ):
            assert time == over_plain(groups[block], name), (block, name)
            assert memory == f'{100 * (kept[name] / kept["plain"] - 1):+.1f} %', (block, name)
