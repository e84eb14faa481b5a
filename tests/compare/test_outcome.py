"""What a comparison writes: the table, the sentence and the picture."""

import json

from ge_det.compare.cells import Cell
from ge_det.compare.outcome import Outcome


def outcome(folder, results, failed):
    cells = []
    for (attention, seed), ap in results.items():
        cell = Cell('my.py', attention, seed, folder / f'{attention}_seed{seed}')
        cells.append(cell)
        if ap is not None:
            cell.folder.mkdir()
            content = dict(seconds=1, scores=dict(bbox=dict(ap=ap, resamples=[ap, ap + 1])))
            (cell.folder / 'result.json').write_text(json.dumps(content))
    return Outcome(cells, 'none', failed)


def test_failed_trainings_are_named_and_the_rest_is_compared(tmp_path):
    results = {(name, seed): 30.0 + seed for seed in (0, 1) for name in ('none', 'se')}
    results |= {('rg-se', 0): None, ('rg-se', 1): None, ('none', 2): 32.0, ('se', 2): None}
    failed = {'se seed 2': 'the loss is nan', 'rg-se seed 0': 'x', 'rg-se seed 1': 'x'}
    found = outcome(tmp_path, results, failed)
    assert found.sentence() == (
        'no block is clearly ahead of none: the largest difference, se +0.0 box AP, is within the '
        'noise (+0.0 to +0.0 over 2 seeds); 3 of 8 trainings failed: se seed 2, rg-se seed 0, '
        'rg-se seed 1'
    )
    assert [line.split()[1:12:2] for line in found.table('bbox').splitlines()[2:]] == [
        ['none', '31.0', '1.0', '30.0', '31.0', '32.0'],
        ['se', '30.5', '0.7', '30.0', '31.0', '-'],
        ['rg-se', 'failed', '-', '-', '-', '|'],
    ]
    markdown, picture = found.write(tmp_path, 'title', 'ge-det compare my.py')
    assert found.sentence() in markdown.read_text() and 'the loss is nan' in markdown.read_text()
    assert picture.read_bytes().startswith(b'\x89PNG')


def test_nothing_learnt_and_nothing_left(tmp_path):
    found = outcome(tmp_path, {('none', 0): 0.1, ('se', 0): 0.3}, {})
    assert found.sentence().endswith('; no training got beyond 0.3 box AP: train longer')
    empty = outcome(tmp_path, {('sge', 0): None, ('none', 9): None}, {'sge seed 0': 'x'})
    assert empty.sentence().startswith('nothing can be said: no seed has both none and another')
    empty.write(tmp_path, 'title', 'ge-det compare my.py')


def test_masks_are_told_of_first(tmp_path):
    results = {(name, seed): 30.0 for seed in (0, 1) for name in ('none', 'se')}
    found = outcome(tmp_path, results, {})
    for cell in found.cells:
        file = cell.folder / 'result.json'
        content = json.loads(file.read_text())
        ap = 20 + 9 * (cell.attention == 'se')
        content['scores']['segm'] = dict(ap=ap, resamples=[ap, ap])
        file.write_text(json.dumps(content))
    assert found.sentence() == (
        'se is ahead of none by 9.0 mask AP (95 % interval 9.0 to 9.0 over 2 seeds): '
        'more than the noise'
    )
    markdown, *_ = found.write(tmp_path, 'title', 'ge-det compare my.py')
    text = markdown.read_text()
    assert text.index('| mask AP') < text.index('| box AP')
