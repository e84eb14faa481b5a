"""What a newcomer gets wrong ends in one line that names it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ge_det.cli.errors import doctor_command
from ge_det.cli.main import main

ROOT = Path(__file__).parents[2]


def one_line(capsys, *argv):
    """What a command that ends with 2 says."""
    assert main(list(argv)) == 2
    said = capsys.readouterr().err.strip()
    assert '\n' not in said
    return said


@pytest.fixture(autouse=True)
def arguments(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['ge-det'])  # which the scripts of mmdet read
    monkeypatch.setattr(sys, 'path', list(sys.path))


@pytest.mark.parametrize(
    'text, reason',
    [
        ('model = dict(', 'never closed'),
        ("_base_ = 'nobody::coco/x.py'", 'nobody'),
        ("custom_imports = dict(imports=['no_such_module'])", 'no_such_module'),
    ],
)
def test_a_config_that_cannot_be_read(text, reason, tmp_path, capsys):
    (tmp_path / 'bad.py').write_text(text)
    said = one_line(capsys, 'train', str(tmp_path / 'bad.py'))
    assert said.startswith(f'train: {tmp_path / "bad.py"}: not a config') and reason in said


def test_a_folder_for_a_config(tmp_path, capsys):
    assert one_line(capsys, 'train', str(tmp_path)).endswith(
        'is a folder; give the config file in it'
    )


def test_the_folder_of_photos_for_the_config_made_of_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'more/Fische grün').mkdir(parents=True)
    (tmp_path / 'Fische_grün.py').touch()  # Where make-config ran.
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos.py').touch()
    for command in ('train', 'flops'):
        for folder, name in (('photos/', 'photos.py'), ('more/Fische grün', 'Fische_grün.py')):
            said = one_line(capsys, command, folder)
            assert said.endswith(f': is a folder; did you mean {name}?'), said


@pytest.mark.parametrize('command', ['train', 'flops', 'report', 'publish'])
def test_a_folder_of_a_user_who_is_not_there(command, capsys):
    said = one_line(capsys, command, '~nobody_here/x.py')
    assert said.startswith(f'{command}: ~nobody_here/x.py: ') and 'no such' in said


@pytest.mark.parametrize('device', ['nonsense', 'cuda:77', 'meta'])
def test_a_device_that_is_not_here(device, tmp_path, capsys):
    from PIL import Image

    Image.new('RGB', (8, 8)).save(tmp_path / 'a.png')
    for name in ('c.py', 'w.pth'):
        (tmp_path / name).write_text('')
    files = [str(tmp_path / name) for name in ('a.png', 'c.py', 'w.pth', 'out')]
    said = one_line(
        capsys,
        *('infer', files[0], '--config', files[1], '--checkpoint', files[2], '--out', files[3]),
        *('--device', device),
    )
    assert said.startswith(f'infer: --device {device}: not to be had here')


def test_a_broken_torch_names_the_doctor_who_blames_torch_alone(tmp_path):
    (tmp_path / 'torch').mkdir()
    (tmp_path / 'torch/__init__.py').write_text("raise ImportError('libfoo is missing')")
    code = f'import sys; sys.path.insert(0, {str(tmp_path)!r}); from ge_det.cli.main import main; '
    code += "sys.exit(main(['blocks']))"
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == f'blocks: libfoo is missing; `{doctor_command()}` tells what is missing\n'


def test_what_a_config_imports_may_lie_in_the_folder_of_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(['--version']) == 0
    assert str(tmp_path) == sys.path[-1]


@pytest.mark.parametrize(
    'environment',
    [
        {'PYTHONIOENCODING': 'cp1252'},
        {'PYTHONIOENCODING': 'ascii'},
        {'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'},
    ],
)
def test_a_console_of_another_code_page_shows_any_name(environment):
    code = (
        'import sys; from ge_det.cli.errors import run_command\n'
        "say = lambda: print('\\u732b a\\udcffb') or print('\\u732b', file=sys.stderr)\n"
        "sys.exit(run_command('x', say))"
    )
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), **environment}
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, env=environment)
    assert (done.returncode, done.stderr.strip()) == (0, rb'\u732b')
    assert done.stdout.startswith(rb'\u732b a') and b'b' in done.stdout[8:]
