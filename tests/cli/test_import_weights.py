"""tools/import_weights.py: reports, files, and one line for each thing that is wrong."""

import json
import re
import subprocess
import sys
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from command_line import exit_code
from random_networks import randomise
from torch import nn

from ge_det import AttentionResNet
from ge_det.cli.offline_import import write_checkpoint
from ge_det.weights.checkpoint import read_checkpoint
from ge_det.weights.importing import import_pretrained

TOOL = Path(__file__).parents[2] / 'tools' / 'import_weights.py'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A plain detector's checkpoint and a few pictures."""
    folder = tmp_path_factory.mktemp('import')
    backbone = randomise(AttentionResNet(50, base_channels=16))
    state = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
    state['rpn_head.rpn_conv.weight'] = torch.randn(2, 2)
    meta = dict(dataset_meta=dict(classes=('ball', 'buoy')), cfg='# text')
    torch.save(dict(meta=meta, state_dict=state), folder / 'plain.pth')
    (folder / 'photos').mkdir()
    for index in range(5):
        picture = np.random.default_rng(index).integers(0, 255, (60, 90, 3), dtype=np.uint8)
        mmcv.imwrite(picture, str(folder / 'photos' / f'{index}.png'))
    return folder


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Run the command in that folder; returns what it prints, or its error."""
    monkeypatch.chdir(folder)

    def command(*arguments, code=0):
        assert exit_code('import-weights', *arguments) == code
        printed = capsys.readouterr()
        return printed.out if code == 0 else printed.err

    return command


def test_a_detector_keeps_its_heads_and_classes(folder, run):
    printed = run(
        '--source', 'ge_det', '--checkpoint', 'plain.pth', '--attention', 'sge', '--depth', 50,
        '--out', 'new/sge.pth', '--report', 'sge.json',
    )  # fmt: skip
    assert '16 gates exactly' in printed and 'rpn_head (1 tensor)' in printed
    assert 'Kaiming' not in printed  # only the report
    report = json.loads((folder / 'sge.json').read_text())
    assert max(max(v) for v in report['preserved']['deviation'].values()) < 1e-5
    before, after = (
        read_checkpoint(str(folder / 'plain.pth')),
        read_checkpoint(str(folder / 'new' / 'sge.pth')),
    )
    assert after.meta['dataset_meta'] == before.meta['dataset_meta']
    states = {gate['state'] for gate in after.meta['ge_det']['gates'].values()}
    assert states == {'prepared'}
    added = set(after.state) - set(before.state)
    assert len(added) == 32 and all('.sge.' in key for key in added)
    changed = {k for k, v in before.state.items() if not torch.equal(v, after.state[k])}
    assert len(changed) == 32 and all('.bn3.' in key for key in changed)


def test_the_report_lies_beside_the_file_by_default(folder):
    given = ('--checkpoint', 'plain.pth', '--attention', 'se', '--out', 'se.pth')
    subprocess.run([sys.executable, '-W', 'ignore', TOOL, *given], cwd=folder, check=True)
    assert json.loads((folder / 'se.pth.json').read_text())['source'] == 'ge_det'


@pytest.mark.parametrize('taken', ['se2.pth', 'se2.pth.json', 'own.json'])
@pytest.mark.parametrize('is_link', [False, True])
def test_a_file_of_the_user_stays(taken, is_link, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / taken
    file.symlink_to('nowhere') if is_link else file.write_text('mine')
    given = f'--checkpoint {folder / "plain.pth"} --attention se --out se2.pth'.split()
    given += ['--report', taken] * (taken == 'own.json')
    assert exit_code('import-weights', *given) == 2
    error = capsys.readouterr().err
    assert f'{taken} is there already' in error and error.count('\n') == 1
    assert sorted(tmp_path.iterdir()) == [file] and file.is_symlink() == is_link
    if not is_link:
        assert exit_code('import-weights', *given, '--overwrite') == 0
        assert file.read_bytes() != b'mine' and (tmp_path / 'se2.pth').exists()


def test_calibration(run):
    printed = run(
        '--checkpoint', 'plain.pth', '--attention', 'ge-theta-minus-e8', '--calibrate', 'photos',
        '--calibrate-count', 3, '--calibrate-size', 64, '--dry-run',
    )  # fmt: skip
    assert 'on 3 images; scales applied to' in printed
    assert 'relative, by stage, on the 3 calibration images' in printed


def test_dry_run_writes_nothing_and_shows_what_does_not_fit(folder, run):
    before = sorted(folder.rglob('*'))
    printed = run('--checkpoint', 'plain.pth', '--attention', 'se', '--dry-run')
    assert 'fresh gates    16' in printed
    message = run(
        '--checkpoint', 'plain.pth', '--attention', 'se', '--depth', 101, '--dry-run',
        code=2,
    )  # fmt: skip
    assert message.count('\n') == 1 and 'does not fit' in message
    assert sorted(folder.rglob('*')) == before


def test_what_does_not_fit_names_the_option(folder, capsys):
    given = f'--checkpoint {folder / "plain.pth"} --attention se --depth 101 --out {folder}/no.pth'
    assert exit_code('import-weights', *given.split()) == 2
    error = capsys.readouterr().err
    assert error.endswith('. --no-strict loads what fits\n') and 'strict=' not in error
    assert exit_code('import-weights', *given.split(), '--no-strict') == 0


def test_the_backbone_of_a_config(folder, run):
    (folder / 'plugins.py').write_text(
        "model = dict(backbone=dict(type='ResNet', depth=50, base_channels=16, plugins=[dict("
        "cfg=dict(type='ge_det.SqueezeExcite'), position='after_conv3')]))"
    )
    printed = run('--checkpoint', 'plain.pth', '--config', 'plugins.py', '--out', 'plugins.pth')
    assert '16 gates exactly' in printed
    assert (
        'backbone.layer1.0.se_layer.conv1.conv.weight'
        in read_checkpoint(str(folder / 'plugins.pth')).state
    )


def test_the_set_that_is_asked_for(tmp_path, capsys):
    sets = {}
    for seed, name in enumerate(('model', 'ema')):
        torch.manual_seed(seed)
        network = AttentionResNet(18, base_channels=4)
        network.init_weights()
        heads = {'module.bbox_head._orig_mod.bias': torch.full((1,), float(seed))}
        state = {f'module.backbone.{key}': value for key, value in network.state_dict().items()}
        sets[name] = state | heads
    torch.save(sets, tmp_path / 'x.pth')
    given = ['--checkpoint', str(tmp_path / 'x.pth'), '--attention', 'none']
    assert exit_code('import-weights', *given, '--out', str(tmp_path / 'model.pth')) == 0
    assert "'model' was taken; key='ema' takes another" in capsys.readouterr().out
    assert (
        exit_code('import-weights', *given, '--key', 'ema', '--out', str(tmp_path / 'e.pth')) == 0
    )
    for name, file in (('model', 'model.pth'), ('ema', 'e.pth')):
        written = torch.load(tmp_path / file, weights_only=True)['state_dict']
        plain = {re.sub('module.|_orig_mod.', '', key): v for key, v in sets[name].items()}
        assert written.keys() == plain.keys()
        assert all(torch.equal(written[key], value) for key, value in plain.items())


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ('--checkpoint missing.pth --attention se --dry-run', 'there is no such file'),
        ('--checkpoint resnet5 --attention se --dry-run', 'neither a file nor a model'),
        ('--checkpoint plain.pth --attention se', 'either --out FILE'),
        ('--checkpoint plain.pth --attention se --dry-run --out x.pth', 'either --out FILE'),
        ('--checkpoint plain.pth --attention se --depth 101 --out x.pth', 'ResNet-101'),
        ('--checkpoint plain.pth --attention se --source caffe --dry-run', "source='caffe'"),
        ('--checkpoint plain.pth --attention se --dry-run --calibrate none', 'no such image'),
        ('--checkpoint plain.pth --attention se --dry-run --calibrate-size 0', 'at least 1'),
        ('--checkpoint plain.pth --config none.py --dry-run', 'no such config'),
        ('--checkpoint plain.pth --config empty.py --dry-run', 'there is no model in it'),
        ('--checkpoint plain.pth --attention se --dry-run --report plain.pth', 'different files'),
        ('--checkpoint plain.pth --attention se --out plain.pth', 'different files'),
        ('--checkpoint plain.pth --attention gse --dry-run', 'did you mean se, rg-se, sge?'),
        ('--checkpoint plain.pth --attention se --depth 49 --dry-run', '49'),
        ('--checkpoint plain.pth --attention se --out photos', 'is a folder'),
        ('--checkpoint plain.pth --attention se --out x.safetensors', 'let the name end in .pth'),
        ('--checkpoint plain.pth --attention se --dry-run --calibrate texts', 'not an image'),
        ('--checkpoint plain.pth --attention se --dry-run --calibrate cut.png', 'not an image'),
        ('--checkpoint plain.pth --config empty.py --depth 50 --dry-run', '--depth goes with'),
        ('--checkpoint head.pth --attention se --dry-run', 'no ResNet-18, 34, 50'),
        ('--checkpoint plain.pth --key ema --attention se --dry-run', "no weights under key='ema'"),
    ],
)
def test_wrong_arguments_give_one_line(arguments, message, folder, monkeypatch, capsys):
    (folder / 'empty.py').write_text('x = 1')
    (folder / 'texts').mkdir(exist_ok=True)
    (folder / 'texts' / 'a.jpg').write_text('no image')
    (folder / 'cut.png').write_bytes((folder / 'photos' / '0.png').read_bytes()[:60])
    torch.save({'fc.weight': torch.ones(1)}, folder / 'head.pth')
    monkeypatch.chdir(folder)
    assert exit_code('import-weights', *arguments.split()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count('\n') == 1
    assert not (folder / 'x.pth').exists()


class Head(nn.Linear):
    _version = 2


def test_heads_keep_the_versions_of_their_modules(tmp_path):
    model = nn.Module()
    model.backbone = randomise(AttentionResNet(18, base_channels=8))
    model.bbox_head = Head(2, 2)
    torch.save(dict(state_dict=nn.DataParallel(model).state_dict()), tmp_path / 'plain.pth')
    new = AttentionResNet(18, base_channels=8)
    report = import_pretrained(new, str(tmp_path / 'plain.pth'))
    write_checkpoint(new, report, str(tmp_path / 'new.pth'))
    versions = read_checkpoint(str(tmp_path / 'new.pth')).versions
    assert versions['bbox_head'] == {'version': 2}
    assert versions['backbone.bn1'] == {'version': 2} and versions['backbone'] == {'version': 1}
