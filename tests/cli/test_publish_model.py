"""The command line that publishes a checkpoint: where it writes, what it prints and refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import exit_code
from mmengine.runner import save_checkpoint
from tiny_detector import NARROW_RETINANET

TOOL = Path(__file__).parents[2] / 'tools' / 'publish_model.py'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a small checkpoint and bad ones."""
    # The process that runs the tests must not keep what the tool sets.
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    monkeypatch.chdir(tmp_path)

    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, ('evil-was-here',)

    state = {'backbone.a': torch.ones(2), 'head.b': torch.ones(3)}
    meta = dict(cfg="model = dict(type='A')", epoch=1)
    save_checkpoint(dict(meta=meta, state_dict=state, optimizer={}), 'good.pth')
    torch.save(state['head.b'], 'tensor.pth')
    torch.save(dict(state_dict=state, meta=Evil()), 'evil.pth')
    torch.save(dict(weight=torch.ones(1)), 'plain.pth')
    Path('code.py').write_text('model = ')
    return tmp_path


def test_the_file_itself_runs_and_says_what_it_wrote(folder: Path) -> None:
    command = [sys.executable, str(TOOL), 'good.pth', '--out', 'shared/sge']
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')
    first, second, third = done.stdout.splitlines()
    digest = third.removeprefix('sha256 ')
    assert len(digest) == 64
    assert first == f'shared/sge-{digest[:8]}.pth is written'
    assert second.startswith('2 tensors, 0.0 MB -> 0.0 MB')
    assert os.listdir('shared') == [f'sge-{digest[:8]}.pth']


def test_the_best_checkpoint_of_a_work_dir(folder: Path, capsys) -> None:
    os.mkdir('run')
    assert exit_code('publish', 'run') == 2
    assert 'run: not the work dir of a training' in capsys.readouterr().err
    os.rename('good.pth', 'run/best_coco_bbox_mAP_epoch_2.pth')
    Path('run/my.py').write_text('model = dict()')
    assert exit_code('publish', 'run', '--out', 'shared/') == 0
    (made,) = os.listdir('shared')
    assert made.startswith('best_coco_bbox_mAP_epoch_2-')


def test_again_and_without_a_config(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for status in ('is written', 'is there already, the same'):
        assert exit_code('publish', *['plain.pth']) == 0
        shown = capsys.readouterr()
        assert shown.out.splitlines()[0].endswith(status)
        assert shown.err.startswith('publish: the checkpoint tells no config')
        assert len(shown.err.splitlines()) == 1


@pytest.mark.parametrize(
    ('out', 'start'),
    [
        ('here', 'here/good'),
        ('new/', 'new/good'),
        ('', 'good'),
        ('stem', 'stem'),
        ('new/deep/sge.pth', 'new/deep/sge'),
    ],
)
def test_out(folder: Path, out: str, start: str) -> None:
    Path('here').mkdir()
    assert exit_code('publish', *['good.pth', '--out', out, '--backbone-only']) == 0
    (made,) = (path for path in Path().rglob('*.pth') if str(path).startswith(f'{start}-'))
    assert list(torch.load(made, weights_only=True)['state_dict']) == ['backbone.a']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ('none.pth', 'none.pth: there is no such file'),
        ('https://host/a.pth', 'https://host/a.pth: must be a path; download it first'),
        ('tensor.pth', 'tensor.pth: holds Tensor, not a state dict'),
        ('code.py', 'code.py: '),
        ('evil.pth', 'evil.pth: refused, since loading it could run code'),
        ('plain.pth --backbone-only', "plain.pth: none of its 1 tensor is under 'backbone.'"),
        ('good.pth --out plain.pth/', 'plain.pth: cannot be written into ('),
        ('good.pth --out plain.pth/sge', 'plain.pth: cannot be written into ('),
        ('good.pth --out sge-0.5', "'sge-0.5' cannot begin a published name: a download would"),
        ('good.pth --config none.py', 'none.py: no such config file; check the path'),
    ],
)
def test_errors_are_one_line_and_write_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    before = sorted(os.listdir())
    assert exit_code('publish', *arguments.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f'publish: {message}')
    assert sorted(os.listdir()) == before


def test_config_must_be_of_the_checkpoint_and_is_noted_whole(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = pytest.importorskip('mmdet.registry').MODELS
    from mmengine.config import Config
    from mmengine.registry import DefaultScope

    Path('my.py').write_text(NARROW_RETINANET)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = models.build(Config.fromfile('my.py').model)
    save_checkpoint(dict(state_dict=model.state_dict()), 'trained.pth')
    assert exit_code('publish', *['trained.pth', '--config', 'my.py']) == 0
    assert capsys.readouterr().err == ''
    (made,) = Path().glob('trained-*.pth')
    noted = Config.fromstring(torch.load(made, weights_only=True)['meta']['cfg'], '.py')
    assert noted.to_dict() == Config.fromfile('my.py').to_dict()

    Path('my.py').write_text(NARROW_RETINANET.replace('depth=18', 'depth=34'))
    assert exit_code('publish', *['trained.pth', '--config', 'my.py']) == 2
    assert "does not belong to this config's model" in capsys.readouterr().err
    assert len(list(Path().glob('trained-*.pth'))) == 1
