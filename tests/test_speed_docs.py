"""What the pages say of speed is recomputed from the measured times."""

import json
import statistics
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.speed.report import signature
from lab.speed.timing import WARM_UP_ROUNDS, round_orders

ROOT = Path(__file__).parents[1]
PEERS = ('mmpretrain', 'timm', 'mmcv')

LEFT = {
    'inference': '| block | bytes | time | aim | operators but convolutions | next idea |',
    'training': '| block | bytes | time | aim | where it goes | next idea |',
}
AIMS = {  # Time in inference, and of a training step
    'se': (0.97, 1.03),
    'ge-theta-minus': (0.97, 1.03),
    'rg-se': (0.97, 1.03),
    'sp-se': (1.0, 1.06),
    'sge': (1.0, 1.06),
    'ge-theta-minus-e8': (1.01, 1.08),
    'ge-theta-e8': (1.06, 1.15),
    'ge-theta-plus-e8': (1.06, 1.15),
}
OTHER = {
    'inference, 320×544': 'inference_small',
    'inference, ResNet-101': 'inference_101',
    'inference, compiled': 'inference_compiled',
    'training, 320×544': 'training_small',
    'training, batch 4': 'training_batch4',
    'training, ResNet-101': 'training_101',
}

MAIN = {
    'inference': '| block | 480×800 | 800×1344 | plug-in | as published | other libraries |',
    'training': '| block | 480×800 | 800×1344 | plug-in | other libraries | kept | kept: plug-in |',
}


def text_of(page):
    return (ROOT / page).read_text(encoding='utf-8')


def words_of(page):
    """A page's text with its lines joined, so that a sentence may break anywhere."""
    return ' '.join(text_of(page).split())


def rows_of(text, header):
    """Cells of a Markdown table by the first cell of each row."""
    lines = text[text.index(header) :].split('\n\n')[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    return {row[0].strip('`'): row[1:] for row in rows}


def groups_of(name):
    return json.loads(text_of(f'docs/speed/{name}.json'))['groups']


def over(group, name, base='plain'):
    """The median and quartiles of a contender's time over the plain network's in each round."""
    times = group['seconds']
    ratios = [a / b for a, b in zip(times[name], times[base], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method='inclusive')
    return f'{middle:.2f} ({low:.2f}-{high:.2f})'


def median_of(group, name, base='plain'):
    return over(group, name, base).split()[0]


def span(groups, name):
    """The smallest and the largest median of a contender."""
    found = sorted(median_of(group, name) for group in groups if name in group['seconds'])
    return f'{found[0]} to {found[-1]}'


@pytest.mark.parametrize('mode', MAIN)
def test_times_are_what_was_measured(mode):
    small, large = groups_of(mode), groups_of(f'{mode}_large')
    text, rows = words_of('docs/speed.md'), rows_of(text_of('docs/speed.md'), MAIN[mode])
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
    text = words_of('docs/speed.md')
    assert f"{span(groups, 'ours')} of the plain ResNet-50's time" in text
    moved = [g['moved_bytes'] for g in groups if 'ours' in g['seconds']]
    more = [round(100 * (m['ours'] / m['plain'] - 1)) for m in moved]
    assert f'{min(more):+} % to {max(more):+} % of the bytes' in text
    if mode == 'inference':
        highest = span(groups_of(mode).values(), 'published').split()[-1]
        assert f'up to {highest}.' in text
        low, high = map(float, span(groups, 'ours').split(' to '))
        told = f"{low:.1f} to {high:.1f} of the plain ResNet-50's time"
        assert told in words_of('README.md')


@pytest.mark.parametrize('mode', LEFT)
def test_every_row_that_misses_its_aim_is_shown(mode):
    small, large = groups_of(mode), groups_of(f'{mode}_large')
    aims = {block: both[mode == 'training'] for block, both in AIMS.items()}
    shown = set()
    for blocks, cells in rows_of(text_of('docs/speed.md'), LEFT[mode]).items():
        names = [name.strip('` ') for name in blocks.split(',')]
        groups = [size[name] for name in names for size in (small, large)]
        moved = [g['moved_bytes']['ours'] / g['moved_bytes']['plain'] for g in groups]
        low, high = round(100 * (min(moved) - 1)), round(100 * (max(moved) - 1))
        assert cells[:2] == [f'{low:+} % to {high:+} %', span(groups, 'ours')]
        assert {aims[name] for name in names} == {float(cells[2])} and all(cells[3:])
        shown.update(names)
    measured = [(b, g) for size in (small, large) for b, g in size.items() if b in aims]
    missed = {b for b, g in measured if float(median_of(g, 'ours')) > aims[b]}
    assert missed and missed <= shown


def test_other_sizes_depths_and_batches_are_what_was_measured():
    header = f'| block | {" | ".join(OTHER)} |'
    rows = rows_of(text_of('docs/speed.md'), header)
    for column, name in enumerate(OTHER.values()):
        groups = groups_of(name)
        assert rows['control'][column] == span(groups.values(), 'control')
        for block, group in groups.items():
            compiled = name == 'inference_compiled'
            pair = ('ours-compiled', 'plain-compiled') if compiled else ('ours', 'plain')
            assert rows[block][column] == median_of(group, *pair)
    text = words_of('docs/speed.md')
    for mode in MAIN:
        sizes = [groups_of(f'{mode}{size}') for size in ('_small', '', '_large')]
        for title, block in (('SE', 'se'), ('SGE', 'sge'), ('GE θ E8', 'ge-theta-e8')):
            found = [median_of(groups[block], 'ours') for groups in sizes]
            assert f'{title} {", ".join(found)}' in text
            assert float(found[0]) > float(found[2])  # It grows no faster than the plain network.
    compiled = groups_of('inference_compiled')
    se, sge, theta = (median_of(compiled[name], 'ours') for name in ('se', 'sge', 'ge-theta-e8'))
    assert f'{se} (SE), {sge} (SGE) and {theta} (GE θ E8)' in text


def test_the_picture_is_of_the_table():
    with Image.open(ROOT / 'docs/speed.png') as picture:
        assert picture.text['Source'] == signature(groups_of('inference'))


def test_gates_loaded_for_a_frozen_stage_are_what_was_measured():
    group = groups_of('training_loaded')['se']
    text = words_of('docs/speed.md')
    told = f'{over(group, "ours")} at 480×800, the plain network against itself '
    assert f'{told}{median_of(group, "control")} ([{len(group["seconds"]["plain"])} rounds]' in text


def test_why_two_quiet_runs_differ():
    tables = [groups_of(path.stem) for path in sorted((ROOT / 'docs/speed').glob('*.json'))]
    deviations, between, free = [], 0.0, 0
    for table in tables:
        seconds = [group['seconds'] for group in table.values()]
        logs = [np.log(np.divide(times['control'], times['plain'])) for times in seconds]
        rounds, means = [len(log) for log in logs], [log.mean() for log in logs]
        left = sum(((log - log.mean()) ** 2).sum() for log in logs) / (sum(rounds) - len(logs))
        deviations.append(100 * left**0.5)
        between += np.dot(rounds, (means - np.average(means, weights=rounds)) ** 2) / left
        free += len(logs) - 1
    told = f'within {min(deviations):.0f} to {max(deviations):.0f} % of itself'
    text = words_of('docs/speed.md')
    assert f'{told} (standard deviation)' in text
    assert f'the {sum(map(len, tables))} groups of all tables' in text
    assert f'(F = {between / free:.2f})' in text
    first, after = residuals_by_order(group for table in tables for group in table.values())
    assert f'the first of a round takes {100 * np.mean(first):.1f} % longer' in text
    often = {name: np.mean(values) for name, values in after.items() if len(values) > 50}
    assert {'plain', 'control', 'ours', 'module'} < set(often)
    assert max(map(abs, often.values())) < np.mean(first)


def residuals_by_order(groups):
    """What is left of a time without its contender's median and its round's: of the first of each
    round, and by the contender before."""
    first, after = [], {}
    for group in groups:
        names = list(group['seconds'])
        logs = np.log([group['seconds'][name] for name in names])
        left = logs - np.median(logs, axis=1, keepdims=True)
        left -= np.median(left, axis=0, keepdims=True)
        orders = round_orders(names, WARM_UP_ROUNDS + logs.shape[1])[WARM_UP_ROUNDS:]
        for of_round, order in zip(left.T, orders, strict=True):
            values = [of_round[names.index(name)] for name in order]
            first.append(values[0])
            for before, value in zip(order, values[1:], strict=False):
                after.setdefault(before, []).append(value)
    return first, after
