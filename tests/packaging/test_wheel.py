"""The wheel: what is in it, and that it works away from the checkout."""

from __future__ import annotations

import sysconfig
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from environments import environment_with, run
from mmengine.config import Config
from mmengine.fileio import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as file:
        return set(file.namelist())


@pytest.fixture(scope='module')
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of an environment with the wheel in it, beside the stack."""
    folder = tmp_path_factory.mktemp('environment')
    return environment_with(wheel, sysconfig.get_path('purelib'), folder)


def test_the_metadata(wheel: Path, names: set[str]) -> None:
    (file,) = (name for name in names if name.endswith('.dist-info/METADATA'))
    with zipfile.ZipFile(wheel) as content:
        text = content.read(file).decode()
        info = file.removesuffix('METADATA')
        assert content.read(f'{info}licenses/LICENSE') == (ROOT / 'LICENSE').read_bytes()
        assert 'ge-det = ge_det.cli.main:main' in content.read(f'{info}entry_points.txt').decode()
    metadata = message_from_string(text)
    assert metadata['License-Expression'] == 'Apache-2.0'
    assert metadata['Description-Content-Type'] == 'text/markdown'
    assert metadata.get_payload().strip() == (ROOT / 'README.md').read_text().strip()
    extras = {'detect', 'openmmlab', 'onedl', 'export', 'inspect', 'lab', 'peers', 'kernels'}
    extras |= {'dev', 'docs'}
    assert set(metadata.get_all('Provides-Extra')) == extras


def test_what_is_in_it(names: set[str]) -> None:
    pages = {f'ge_det/{part}/page.html.j2' for part in ('report', 'inspect')}
    pages |= {f'ge_det/report/{part}.html.j2' for part in ('style', 'picture')}
    assert {'ge_det/py.typed'} | pages <= names
    assert {name.split('/')[0].split('-')[0] for name in names} == {'ge_det'}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / 'ge_det').rglob('*.py')}
    assert {name for name in names if name.endswith('.py') and '/.mim/' not in name} == modules
    configs = {f'ge_det/.mim/{c.relative_to(ROOT)}' for c in (ROOT / 'configs').rglob('*.py')}
    assert configs <= names
    tools = {Path(name).name for name in names if name.startswith('ge_det/.mim/tools/')}
    assert {'train.py', 'test.py', 'dist_train.sh', 'dist_test.sh', 'slurm_train.sh'} <= tools
    for name in names:
        if name.startswith('ge_det/.mim/tools/') and name.endswith('.py'):
            assert 'lab.' not in (ROOT / name.removeprefix('ge_det/.mim/')).read_text(), name


def test_the_index_names_every_config(names: set[str]) -> None:
    index = load(ROOT / 'model-index.yml')
    listed = [model for file in index['Import'] for model in load(ROOT / file)['Models']]
    files = [model['Config'] for model in listed]
    on_disk = [
        path for kind in ('coco', 'imagenet') for path in (ROOT / 'configs' / kind).rglob('*.py')
    ]
    assert sorted(files) == sorted(str(path.relative_to(ROOT)) for path in on_disk)
    assert {f'ge_det/.mim/{file}' for file in [*index['Import'], *files]} <= names
    assert [model['Name'] for model in listed] == [Path(file).stem for file in files]


def test_it_is_the_wheel_that_runs(programs: Path, tmp_path: Path) -> None:
    code = 'import ge_det, mmdet; print(ge_det.__file__); print(mmdet.__file__)'
    ours, theirs = run(programs / 'python', '-c', code, cwd=tmp_path).splitlines()
    assert Path(ours).is_relative_to(programs.parent)
    assert Path(theirs).is_relative_to(sysconfig.get_path('purelib'))


def test_from_data_to_a_trained_detector(programs: Path, tmp_path: Path) -> None:
    ge_det = programs / 'ge-det'
    run(ge_det, 'make-context-shapes', '--out', 'set', '--train', 4, '--val', 2, cwd=tmp_path)
    data = ['--train-json', 'set/annotations/train.json', '--train-images', 'set/train']
    data += ['--val-json', 'set/annotations/val.json', '--val-images', 'set/val']
    size = ['--depth', 18, '--base-channels', 16, '--scale', 96, 96, '--workers', 0]
    choice = ['--attention', 'ge-theta-e8', '--epochs', 1, '--no-measure', '--out', 'my.py', *size]
    said = run(ge_det, 'make-config', *data, *choice, cwd=tmp_path)
    assert said.endswith('my.py is written; next: ge-det train my.py')
    run(ge_det, 'train', 'my.py', cwd=tmp_path)
    assert (tmp_path / 'work_dirs' / 'my' / 'epoch_1.pth').is_file()


def test_a_config_of_ours_as_a_base(programs: Path, tmp_path: Path) -> None:
    name = 'coco/sge/faster-rcnn_r50-sge_fpn_2x_coco.py'
    (tmp_path / 'my.py').write_text(f"_base_ = 'ge_det::{name}'\n")
    code = 'import ge_det, mmengine; print(mmengine.Config.fromfile("my.py").pretty_text)'
    shown = run(programs / 'python', '-W', 'ignore', '-c', code, cwd=tmp_path)
    assert shown == Config.fromfile(ROOT / 'configs' / name).pretty_text.strip()
    counted = run(programs / 'ge-det', 'flops', 'my.py', '--shape', 64, 64, cwd=tmp_path)
    assert 'gates: 16 SpatialGroupEnhance' in counted
