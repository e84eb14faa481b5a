"""The command lines that stand before mmdet's tools: flags, clear errors, safe loading.

Training end to end is tested elsewhere.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import runpy
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from command_line import exit_code

from ge_det.cli import openmmlab
from ge_det.cli.checks import check_arguments, load_safely
from ge_det.cli.openmmlab import find_script, read_arguments
from ge_det.errors import UserError


def run(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str) -> int:
    """Run a tool in this process and return its exit code."""
    # The process that runs the tests must not keep what the tool sets.
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(sys, 'argv', sys.argv)
    return exit_code(name, *arguments)


@pytest.mark.parametrize(
    ('name', 'flags'),
    [
        ('train', '--work-dir --amp --auto-scale-lr --resume --cfg-options --launcher'),
        ('test', '--work-dir --out --show --show-dir --cfg-options --launcher --tta'),
    ],
)
def test_flags_are_mmdets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, flags: str
) -> None:
    pytest.importorskip('mmdet')
    assert run(monkeypatch, name, '--help') == 0
    shown = capsys.readouterr().out
    assert [flag for flag in flags.split() if flag not in shown] == []


@pytest.mark.parametrize(
    ('name', 'arguments', 'message'),
    [
        ('train', '', 'the following arguments are required: config'),
        ('train', 'none.py', 'train: none.py: no such config file; check the path'),
        ('train', '{config} --resume none.pth', 'train: none.pth: no such checkpoint file'),
        ('train', '{config} --nonsense', 'unrecognized arguments: --nonsense'),
        ('train', '{config} --cfg-options a', "--cfg-options: 'a' is not KEY=VALUE"),
        ('test', '{config}', 'the following arguments are required: checkpoint'),
        ('test', '{config} none.pth', 'test: none.pth: no such checkpoint file'),
        ('test', '{config} {config} --out a.json', 'test: --out a.json: predictions are pickled'),
        ('test', '{config} {config} --out /proc/a.pkl', 'test: --out /proc/a.pkl: cannot be writ'),
    ],
)
def test_argument_errors_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    arguments: str,
    message: str,
) -> None:
    pytest.importorskip('mmdet')
    config = tmp_path / 'config.py'
    config.write_text('')
    assert run(monkeypatch, name, *arguments.format(config=config).split()) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ('name', 'package'), [('train', 'mmdet'), ('test', 'mmdet'), ('train', 'mmpretrain')]
)
def test_the_quick_reading_is_the_scripts_own(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    pytest.importorskip(package)
    monkeypatch.setenv('LOCAL_RANK', '0')
    script = find_script(name, package)
    words = ['my.py', *(['a.pth'] if name == 'test' else []), '--work-dir', 'x', '--cfg-options']
    monkeypatch.setattr(sys, 'argv', ['tool', *words, 'a.b=1', 'c=[1,2]', '--launcher', 'slurm'])
    theirs = vars(runpy.run_path(str(script))['parse_args']())
    ours = read_arguments(script)
    assert ours is not None
    assert vars(ours) == {**theirs, 'cfg_options': {'a.b': '1', 'c': '[1,2]'}}


@pytest.mark.parametrize(
    ('name', 'package'), [('train', 'mmdet'), ('test', 'mmdet'), ('train', 'mmpretrain')]
)
def test_the_script_gets_paths_as_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, package: str
) -> None:
    pytest.importorskip(package)
    import mmengine.config

    reader = mmengine.config.config.DictAction
    monkeypatch.setattr(mmengine.config, 'DictAction', reader)  # To have it back afterwards.
    script = tmp_path / 'tool.py'
    text = find_script(name, package).read_text()
    end = 'args = parse_args(); import json; open("got", "w").write(json.dumps(args.cfg_options))'
    script.write_text(text.partition("if __name__ == '__main__'")[0] + "if __name__ == '__main__':")
    script.write_text(f'{script.read_text()}\n    {end}\n')
    (tmp_path / 'my.py').write_text(
        "model = dict(type='FPN', in_channels=[8], out_channels=8, num_outs=1)\n"
    )
    (tmp_path / 'a.pth').touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(openmmlab, 'find_script', lambda *_: script)
    monkeypatch.setattr(openmmlab, '_prepared', lambda *_: nullcontext())
    words = ['my.py', *(['a.pth'] if name == 'test' else []), '--work-dir', 'x', '--cfg-options']
    assert run(monkeypatch, name, *words, 'work_dir=my runs, old', 'x=1,2') == 0
    got = json.loads(Path('got').read_text())
    assert got == {'work_dir': 'my runs, old', 'x': [1, 2]}


def test_a_script_that_needs_more_is_read_as_a_whole(tmp_path: Path) -> None:
    script = tmp_path / 'train.py'
    for text in ('', 'import sys\ndef parse_args():\n    return sys.argv\n'):
        script.write_text(text)
        assert read_arguments(script) is None


@pytest.mark.parametrize(
    'options',
    [{'amp': True}, {'amp': False, 'cfg_options': {'optim_wrapper.type': 'AmpOptimWrapper'}}],
)
def test_amp_without_a_gpu(monkeypatch: pytest.MonkeyPatch, options: dict[str, object]) -> None:
    device = pytest.importorskip('mmengine.device')
    args = argparse.Namespace(config=__file__, **options)
    monkeypatch.setattr(device, 'get_device', lambda: 'cpu')
    with pytest.raises(UserError, match='--amp needs a GPU'):
        check_arguments(args)
    monkeypatch.setattr(device, 'get_device', lambda: 'cuda')
    check_arguments(args)


def test_what_mmdet_accepts_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    check_arguments(argparse.Namespace(config=__file__, resume='auto'))
    check_arguments(argparse.Namespace(config=__file__, resume=None, amp=False, cfg_options=None))
    check_arguments(
        argparse.Namespace(config=__file__, checkpoint='https://host/a.pth', out='a.pkl')
    )
    assert not Path('a.pkl').exists()


def test_where_predictions_go(tmp_path: Path) -> None:
    def check(out: Path) -> None:
        check_arguments(argparse.Namespace(config=__file__, out=str(out)))

    os.symlink(tmp_path / 'later.pkl', tmp_path / 'link.pkl')
    check(tmp_path / 'link.pkl')
    assert os.listdir(tmp_path) == ['link.pkl']
    (tmp_path / 'folder.pkl').mkdir()
    with pytest.raises(UserError, match='folder.pkl: is a folder'):
        check(tmp_path / 'folder.pkl')


def test_the_script_runs_as_main_with_the_arguments_as_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / 'train.py'
    script.write_text(
        'import argparse, sys\n'
        'def parse_args():\n'
        '    options = dict(work_dir=None, resume=None, cfg_options=None)\n'
        '    return argparse.Namespace(config=sys.argv[1], **options)\n'
        'if __name__ == "__main__":\n'
        '    raise SystemExit(sys.argv[1:3] != [__import__("os").environ["WANTED"], "--flag"])\n'
    )
    monkeypatch.setattr(openmmlab, 'find_script', lambda *_: script)
    config = tmp_path / 'config.py'
    config.write_text("model = dict(type='FPN', in_channels=[8], out_channels=8, num_outs=1)\n")
    monkeypatch.setenv('WANTED', str(config))
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, 'train', str(config), '--flag') == 0


def test_the_script_of_a_wheel_and_of_an_editable_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = SimpleNamespace(origin=str(tmp_path / 'mmdet' / '__init__.py'))
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: spec)
    with pytest.raises(UserError, match='has no tool train.py'):
        find_script('train')
    for folder in (tmp_path / 'tools', tmp_path / 'mmdet' / '.mim' / 'tools'):
        folder.mkdir(parents=True)
        (folder / 'train.py').touch()
        assert find_script('train') == folder / 'train.py'


def test_without_mmdet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    assert run(monkeypatch, 'train', 'config.py') == 2
    assert 'mmdet is not installed' in capsys.readouterr().err
    with pytest.raises(UserError, match='mmpretrain is not installed here; run tools/setup.sh'):
        find_script('train', 'mmpretrain')


class Harmful:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_no_checkpoint_can_run_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checkpoint, trace = tmp_path / 'a.pth', tmp_path / 'trace'
    torch.save({'state_dict': Harmful(trace)}, checkpoint)
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '')  # restored after the test
    monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD')
    monkeypatch.delenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', raising=False)
    load_safely()
    with pytest.raises(Exception, match='mkdir'):
        torch.load(checkpoint, weights_only=False)  # as some versions of MMEngine do
    assert not trace.exists()


def test_an_explicit_choice_of_the_user_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', raising=False)
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    load_safely()
    assert 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' not in os.environ


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ('none.png --config {file} --checkpoint {file} --out out', 'none.png: no such image'),
        ('{file} --config none.py --checkpoint {file} --out out', 'none.py: no such config file'),
        ('{file} --config {file} --checkpoint none.pth --out out', 'none.pth: no such checkpoint'),
        (
            '{file} --config {file} --checkpoint {file} --out out',
            'py: no image that can be read',
        ),
        ('--config {file} --checkpoint {file} --out out', 'arguments are required: IMAGE'),
    ],
)
def test_infer_errors_are_one_line(
    capsys: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    assert exit_code('infer', *(part.format(file=__file__) for part in arguments.split())) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
