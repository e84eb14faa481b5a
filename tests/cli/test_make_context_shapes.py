import dataclasses
import json

import numpy as np
import pytest
from command_line import exit_code

from ge_det.cli.make_context_shapes import build_parser
from ge_det.datasets import ContextShapes

cv2 = pytest.importorskip('cv2')
pytest.importorskip('pycocotools')


def test_writes_set_and_preview_and_reports(tmp_path, capsys):
    out = tmp_path / 'set'
    arguments = ['--out', str(out), '--train', '3', '--val', '2', '--seed', '5', '--quiet']
    arguments += ['--image-size', '160', '200', '--size-shares', '0.5', '0.5', '0']
    arguments += ['--cue-agreement', '0.8', '--preview', str(tmp_path / 'deep/sheet.png')]
    assert exit_code('make-context-shapes', *arguments) == 0
    content = json.loads((out / 'annotations/train.json').read_text())
    spec = content['info']['spec']
    assert (spec['seed'], spec['image_size'], spec['cue_agreement']) == (5, [160, 200], 0.8)
    printed = capsys.readouterr().out
    assert f'train: 3 images, {len(content["annotations"])} objects' in printed
    assert content['info']['pixels_sha256'] in printed
    sheet = cv2.imread(str(tmp_path / 'deep/sheet.png'))
    assert sheet.shape[0] > 3 * 160 and sheet.shape[1] == 4 * 200

    (tmp_path / 'deep/sheet.png').write_text('mine')
    assert exit_code('make-context-shapes', *arguments) == 2
    assert 'is there already; choose another --preview or add' in capsys.readouterr().err
    assert (tmp_path / 'deep/sheet.png').read_text() == 'mine'
    assert exit_code('make-context-shapes', *arguments, '--overwrite') == 0
    assert np.array_equal(cv2.imread(str(tmp_path / 'deep/sheet.png')), sheet)


def test_every_argument_has_an_option_with_help():
    options = {action.dest: action for action in build_parser()._actions}
    for field in dataclasses.fields(ContextShapes):
        text = options[field.name].help.partition(' Default:')[0]
        assert len(text) > 20 and text.endswith('.')
        assert options[field.name].default == field.default
    build_parser().format_help()


@pytest.mark.parametrize(
    'extra, message',
    [
        (['--cue-sides', '9'], 'cue_sides=9 must be a whole number from 1 to 4'),
        (['--train', '0'], 'train=0'),
        (['--train', '1000000'], 'train=1000000 must be a whole number from 1 to 999999'),
        (['--seed', '1'], 'seed 0, not 1'),
    ],
)
def test_errors_are_one_line(tmp_path, capsys, extra, message):
    arguments = ['--out', str(tmp_path), '--train', '1', '--val', '1', '--quiet']
    assert exit_code('make-context-shapes', *arguments) == 0
    capsys.readouterr()
    assert exit_code('make-context-shapes', *arguments, *extra) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count('\n') == 1 and not printed.out
