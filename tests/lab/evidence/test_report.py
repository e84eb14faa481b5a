"""A report says what its results say: in tables, in Markdown, in pictures."""

import math
import re

import pytest
from matplotlib import image as matplotlib_image
from report_case import NAN, cell, example, key, read_results, rows_of

from lab.evidence.report import write_report
from lab.evidence.report.comparison import compare
from lab.evidence.report.markdown import points, points_with_interval
from lab.evidence.report.plots import mean_curve
from lab.evidence.report.tables import cost_table, gains_table, parts_table

NAMES = ['report.md', 'gains.png', 'curves.png']
MISSING = [key('rg-se', 0), key('rg-se', 1)]


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    """Folder of the report on the example, read from the files of its cells beside it."""
    out = tmp_path_factory.mktemp('report')
    (out / 'cells').mkdir()
    for result in example():
        result.write(out / 'cells' / f'{result.name}.json')
    read = read_results(out / 'cells')
    planned = [result.key for result in read] + MISSING
    files = write_report(read, out, 'A <b>title</b>', '1 < 2 & 3\n\nNext', planned=planned)
    assert [file.name for file in files] == NAMES
    return out


def test_gains_by_hand():
    results = [cell(key(seed=s), ap) for s, ap in enumerate((0.30, 0.31, 0.32))]
    results += [cell(key('se', seed=s), ap) for s, ap in enumerate((0.31, 0.30, 0.38))]
    rows = rows_of(gains_table(compare(results)[0], 'bbox'))
    assert rows['none (baseline)']['AP'] == '31.0'
    assert rows['se']['AP'] == '33.0'
    assert rows['se']['gain [95 % interval]'].startswith('+2.0 [')
    assert rows['se']['seeds with a gain'] == '2/3'
    # Differences of baselines: 1, 1 and 2 points; sqrt(2) * 1 point, 4.30 of it over sqrt(3).
    assert rows['se']['noise of a mean gain, ±'] == '3.5'
    assert rows['se']['clear of noise'] == 'no'


def test_seeds_without_partner_do_not_count():
    results = [cell(key(seed=0), 0.3), cell(key('se', 0), 0.32), cell(key('se', 1), 0.9)]
    results.append(cell(key('sge', 5), 0.4))
    rows = rows_of(gains_table(compare(results)[0], 'bbox'))
    assert [rows['se']['seeds'], rows['se']['AP']] == ['1', '32.0']
    assert rows['se']['gain [95 % interval]'] == '+2.0'
    assert rows['se']['clear of noise'] == 'not known'
    assert [rows['sge']['AP'], rows['sge']['gain [95 % interval]']] == ['40.0', '-']


def test_one_seed_is_never_clear_of_the_noise():
    level, better = ({'bbox': {'all': {'AP': [ap] * 20}}} for ap in (0.30, 0.34))
    results = [cell(key(seed=seed), 0.30, resamples=level) for seed in (0, 1)]
    results.append(cell(key('se', 0), 0.34, resamples=better))
    rows = rows_of(gains_table(compare(results)[0], 'bbox'))
    assert rows['se']['gain [95 % interval]'] == '+4.0 [+4.0, +4.0]'
    assert rows['se']['clear of noise'] == 'not known'
    results.append(cell(key('se', 1), 0.34, resamples=better))
    rows = rows_of(gains_table(compare(results)[0], 'bbox'))
    assert rows['se']['clear of noise'] == 'yes'


def test_a_run_that_diverged_does_not_spoil_the_report(tmp_path):
    for block, value in (('none', 1.0), ('se', math.inf)):
        result = cell(key(block), curve={'loss': [(1, 2.0), (2, value)]})
        result.write(tmp_path / f'{result.name}.json')
    kept = read_results(tmp_path)
    assert any(math.isnan(result.curve['loss'][1][1]) for result in kept)
    assert tmp_path / 'curves.png' in write_report(kept, tmp_path, 'Diverged')


def test_cost_by_hand():
    results = [
        cell(key(), cost=dict(parameters=20.0, gflops=80.0)),
        cell(key('se'), cost=dict(parameters=22.0, gflops=80.4)),
        cell(key('sge')),
    ]
    table = cost_table(compare(results)[0])
    assert table.rows[1] == ['se', '22', '+2 M (+10 %)', '80.4', '+0.4 GFLOPs (+0.5 %)']
    assert table.rows[2] == ['sge', '-', '-', '-', '-']


def test_parts_without_objects_are_dashes():
    table = parts_table(compare(example())[0], 'bbox')
    rows = rows_of(table)
    assert {'APs', 'AP context', 'AP other'} <= set(table.header)
    assert {row['APl'] for row in rows.values()} == {'-'}
    assert rows['sge']['APs'].startswith('+')


@pytest.mark.parametrize(
    'gain, text',
    [(0.0042, '+0.42'), (0.0123, '+1.2'), (-0.000001, '+0.00'), (-0.03, '-3.0'), (NAN, '-')],
)
def test_points(gain, text):
    assert points(gain) == text


def test_the_ends_of_an_interval_have_the_decimals_of_its_middle():
    assert points_with_interval(0.004, -0.012, 0.02) == '+0.40 [-1.20, +2.00]'
    assert points_with_interval(0.04, 0.002, 0.1) == '+4.0 [+0.2, +10.0]'


def test_mean_curve_keeps_common_steps():
    assert mean_curve([[(1, 2.0), (2, 4.0), (3, 9.0)], [(2, 6.0), (3, 1.0)]]) == [(2, 5), (3, 5)]
    assert mean_curve([]) == []


def test_names_of_coco_itself():
    names = ('coco', 'coco2017', 'coco-2017', 'coco val2017', 'coco_scenes', 'cocoa', 'shapes')
    found = [key(data=name).is_coco for name in names]
    assert found == [True, True, True, True, False, False, False]


def test_every_cell_leads_to_its_file(written):
    links = re.findall(r'\]\((cells/.*?)\)', (written / 'report.md').read_text())
    assert len(links) == 24
    assert all((written / link).is_file() for link in links)


def test_the_same_cells_give_the_same_report(written, tmp_path):
    read = read_results(written / 'cells')
    planned = [result.key for result in read] + MISSING
    write_report(read, tmp_path, 'A <b>title</b>', '1 < 2 & 3\n\nNext', planned=planned)
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes(), name


def test_pictures_show_something(written):
    for name in NAMES[1:]:
        assert matplotlib_image.imread(written / name)[..., :3].std() > 0


def test_markup_in_names_is_escaped(written):
    text = (written / 'report.md').read_text()
    assert '<b>' not in text and r'# A \<b\>title\</b\>' in text
    assert r'1 \< 2 & 3' in text
    assert r'| b\|x \<y\> ' in text


def test_markdown_tables_have_as_many_cells_in_each_row(written):
    lines = (written / 'report.md').read_text().splitlines()
    tables = '\n'.join(line if line.startswith('|') else '' for line in lines).split('\n\n')
    tables = [table.strip().splitlines() for table in tables if table.strip()]
    assert len(tables) > 8
    for table in tables:
        assert len({len(re.findall(r'(?<!\\)\|', line)) for line in table}) == 1, table[0]


def test_it_says_what_was_run_and_what_is_missing(written):
    text = (written / 'report.md').read_text().replace('\\', '')
    assert '24 finished cells in 2 comparisons; 26 were planned; missing: 2.' in text
    assert all(f'- {missing.name}' in text for missing in MISSING)
    # 24 cells of 1.25 and 0.05 hours.
    assert '31.20 hours (training 30.00, test 1.20)' in text
    for said in (
        'Seeds: 0, 1, 2.',
        'Some CPU, threads: 2',
        'torch: 2.8.0',
        '500 train and 150 val',
    ):
        assert said in text
    assert 'python tools/train.py configs/x.py --seed 2' in text
    assert '| ge-theta-e8 ' in text  # No gain, shown all the same.
    assert 'significant' not in text


def test_an_empty_matrix_and_baselines_alone_and_nan(tmp_path):
    files = write_report([], tmp_path / 'a', 'Title', planned=[key()])
    assert [file.name for file in files] == ['report.md']
    assert key().name in (tmp_path / 'a' / 'report.md').read_text().replace('\\', '')
    files = write_report([cell(key())], tmp_path / 'b', 'Title')
    assert [file.name for file in files] == ['report.md']
    results = [cell(key(), NAN), cell(key('se'), NAN, cost=dict(gflops=1.0, parameters=1.0))]
    results += [cell(key('se', detector='other'))]
    write_report(results, tmp_path / 'c', 'Title')
    assert 'nan' not in (tmp_path / 'c' / 'report.md').read_text().lower()


def test_a_picture_of_an_earlier_report_does_not_stay(tmp_path):
    files = write_report([cell(key()), cell(key('se'))], tmp_path, 'Title')
    assert tmp_path / 'gains.png' in files
    write_report([cell(key())], tmp_path, 'Title')
    assert sorted(file.name for file in tmp_path.iterdir()) == ['report.md']


def test_a_classifier_has_its_table_alone(tmp_path):
    changes = dict(detector='resnet', data='scenes')
    results = [cell(key(seed=s, **changes), 0.8 + s / 100, 'accuracy') for s in range(2)]
    results += [cell(key('se', s, **changes), 0.82 + s / 100, 'accuracy') for s in range(2)]
    rows = rows_of(gains_table(compare(results)[0], 'accuracy'))
    assert [rows['none (baseline)']['top1'], rows['se']['top1']] == ['80.5', '82.5']
    write_report(results, tmp_path, 'Title')
    text = (tmp_path / 'report.md').read_text()
    assert 'accuracy top1' in text and 'AP50' not in text
