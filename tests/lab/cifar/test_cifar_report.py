"""The report of a table follows from its cells."""

from statistics import fmean

import pytest
from cifar_case import make_workspace

from lab.cifar.report import TOP1, published, report_text
from lab.cifar.run import Workspace
from lab.cifar.table import Table
from lab.evidence.report.markdown import points_with_interval
from lab.evidence.results.result import CellResult
from lab.evidence.statistics.gains import paired_gains

ERRORS = {('none', 0): 0.20, ('se', 0): 0.19, ('none', 1000): 0.22, ('se', 1000): 0.20}


def write_cells(workspace, errors):
    for cell in workspace.cells:
        error = errors.get((cell.key.attention, cell.key.seed))
        if error is not None:
            CellResult(
                cell.key,
                cell.fingerprint,
                'small.py',
                [],
                dict(accuracy=dict(all=dict(top1=1 - error))),
                cost=dict(parameters=0.08),
                epochs=1,
                hours=dict(training=0.5),
                machine=dict(cpu='a processor', threads=1),
                versions=dict(torch='2.0', commit='abc'),
            ).write(workspace.result_file(cell))


def row_of(text, block):
    (line,) = [line for line in text.splitlines() if line.startswith(f'| {block} ')]
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_errors_gains_and_published_figures_stand_side_by_side(tmp_path, request):
    workspace = make_workspace(tmp_path, request.config.rootpath)
    write_cells(workspace, ERRORS)
    text = report_text(workspace)
    assert row_of(text, 'none')[:3] == ['none', '2', '21.00']
    plain, se = row_of(text, 'none'), row_of(text, 'se')
    assert plain[3:] == ['-', '-', '-', '0.080', '6.37', '-']
    assert se[1:3] == ['2', '19.50'] and se[4] == '2/2' and se[-2:] == ['5.21', '+1.16']
    assert se[3].startswith('+1.50 [')
    assert 'Two networks with \\* in their names.' in text
    assert '4 cells of 4, 1 epoch each' in text and '0: 20.00, 1000: 22.00' in text
    assert '2.0 hours in all' in text and 'Machine: a processor, threads: 1.' in text
    assert '(cells/resnet-8_r8-se_cifar10_seed1000.json)' in text


def test_a_seed_without_its_pair_is_left_out_of_the_gain(tmp_path, request):
    workspace = make_workspace(tmp_path, request.config.rootpath)
    write_cells(workspace, {key: ERRORS[key] for key in [*ERRORS][:3]})
    text = report_text(workspace)
    assert row_of(text, 'se')[1:6] == ['1', '19.00', '+1.00', '1/1', 'not known']
    assert row_of(text, 'none')[1:3] == ['2', '21.00']


def test_nothing_run_is_said(tmp_path, request):
    text = report_text(make_workspace(tmp_path, request.config.rootpath))
    assert 'Not run yet.' in text and '## What was run' not in text
    assert row_of(text, 'se') == ['se', '0', '-', '-', '-', '-', '-', '5.21', '+1.16']


@pytest.mark.parametrize('network', ['ResNet-110', 'ResNet-164', 'WRN-16-8'])
def test_the_paper_has_its_best_with_theta_plus(network):
    errors = published(network)
    assert len(errors) == 5
    assert min(errors, key=errors.get) == 'ge-theta-plus' and max(errors, key=errors.get) == 'none'


def landed(root):
    folder = root / 'docs/evidence/cifar10'
    return Workspace(Table.read(root / 'lab/cifar/cifar10.yaml'), folder, folder, folder)


def errors_of(results):
    """Mean error of each block in percent, of seeds that have all blocks."""
    errors = {(r.key.attention, r.key.seed): 100 - 100 * TOP1.value(r) for r in results}
    blocks, seeds = (dict.fromkeys(key[place] for key in errors) for place in (0, 1))
    whole = [seed for seed in seeds if all((block, seed) in errors for block in blocks)]
    means = {block: fmean(errors[block, seed] for seed in whole) for block in blocks}
    return means, len(whole)


def told_gains(results):
    """What the page of the evidence says of the gains, in percent points."""
    gains = paired_gains(results, TOP1)
    return ', '.join(
        f'{gain.key.attention} {points_with_interval(gain.gain, gain.low, gain.high)}'
        for gain in gains
    )


def told_errors(results):
    """What the README says of the errors."""
    errors, seeds = errors_of(results)
    parts = [f'{"plain" if block == "none" else block} {e:.1f}' for block, e in errors.items()]
    return f'{", ".join(parts)} ({seeds} seeds)'


def test_the_pages_say_what_the_landed_cells_found(request):
    root, results = request.config.rootpath, landed(request.config.rootpath).results()
    for page, told in (('docs/evidence/README.md', told_gains), ('README.md', told_errors)):
        assert told(results) in ' '.join((root / page).read_text(encoding='utf-8').split())


def test_the_pages_say_whose_gain_is_clear(request):
    root = request.config.rootpath
    text = report_text(landed(root))
    head = row_of(text, 'block')
    clear = [b for b in errors_of(landed(root).results())[0]
             if row_of(text, b)[head.index('clear of noise')] == 'yes']  # fmt: skip
    assert clear == ['sge']
    for page, told in (
        (
            'docs/evidence/README.md',
            'SGE alone is clear of the noise of seeds, ahead with all five.',
        ),
        ('README.md', "sge's gain is clear."),
    ):
        assert told in ' '.join((root / page).read_text(encoding='utf-8').split())


def test_the_landed_report_follows_from_the_landed_cells(request, monkeypatch):
    monkeypatch.chdir(request.config.rootpath)
    workspace = landed(request.config.rootpath)
    folder = workspace.out
    assert report_text(workspace) == (folder / 'report.md').read_text(encoding='utf-8')
    files = {file.name for file in folder.glob('cells/*.json')}
    assert files == {f'{result.name}.json' for result in workspace.results()}
    for result in workspace.results():
        assert 'dirty' not in result.versions['commit'], result.name
