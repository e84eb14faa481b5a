"""The command line that checks a data set and writes a config for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import exit_code
from PIL import Image

TOOL = Path(__file__).parents[2] / 'tools' / 'make_config.py'


def _data(folder: Path) -> dict[str, Path]:
    paths = {}
    for split, number in (('train', 1), ('val', 2)):
        images = folder / split
        images.mkdir()
        Image.new('RGB', (40, 30)).save(images / f'{number}.png')
        box = {'bbox': [1, 1, 9, 9], 'area': 81, 'iscrowd': 0}
        content = {
            'images': [{'id': number, 'file_name': f'{number}.png', 'width': 40, 'height': 30}],
            'annotations': [{'id': 1, 'image_id': number, 'category_id': 1, **box}],
            'categories': [{'id': 1, 'name': 'cat'}],
        }
        paths[f'--{split}-json'] = folder / f'{split}.json'
        paths[f'--{split}-json'].write_text(json.dumps(content))
        paths[f'--{split}-images'] = images
    return paths


def _arguments(arguments: dict[str, Any]) -> list[str]:
    return [str(item) for pair in arguments.items() for item in pair]


def test_tool_writes_a_config_and_says_what_is_next(tmp_path: Path) -> None:
    out = tmp_path / 'my.py'
    arguments = {**_data(tmp_path), '--out': out, '--depth': 18, '--attention': 'se', '--epochs': 1}
    command = [sys.executable, str(TOOL), *_arguments(arguments), '--no-measure']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f'next: python tools/train.py {out}' in done.stdout
    assert 'cat' in done.stdout
    text = out.read_text()
    assert "classes = ('cat',)" in text
    assert '# Written by: python ' in text


def test_folders_with_odd_names_are_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = pytest.importorskip('mmengine.config').Config
    pytest.importorskip('mmdet')
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "it's\nopen('canary', 'w')\n#"
    folder.mkdir()
    data, out = _data(folder), folder / 'my.py'
    assert exit_code('make-config', *_arguments({**data, '--out': out}), '--no-measure') == 0
    told = capsys.readouterr().out.splitlines()[-1]
    words = ['bash', '-c', f'printf %s {told.partition("ge-det train ")[2]}']
    assert subprocess.run(words, capture_output=True, text=True).stdout == str(out)
    cfg = config.fromfile(out)
    assert cfg.train_dataloader.dataset.ann_file == str(data['--train-json'])
    assert cfg.val_dataloader.dataset.data_prefix.img == str(data['--val-images'])
    assert not (tmp_path / 'canary').exists()


def test_tool_tells_problems_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = _data(tmp_path), tmp_path / 'my.py'
    (tmp_path / 'train' / '1.png').unlink()
    arguments = {**data, '--out': out, '--detector': 'mask-rcnn'}
    assert exit_code('make-config', *_arguments(arguments)) == 2
    assert not out.exists()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4  # two files without masks, the missing image, the verdict
    assert lines[-1] == f'make-config: {out} is not written, errors: 3'


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'--base-channels': 20}, 'make-config: base_channels 20 must be a multiple of 16'),
        ({'--attention': 'ge-teta-e8'}, 'did you mean ge-theta-e8, '),
        ({'--depth': 49}, 'make-config: depth 49 is unknown: choose from 18, 34, 50, 101, 152'),
        ({'--detector': 'yolo'}, "invalid choice: 'yolo'"),
        ({'--pretrained': 'none.pth'}, 'no such file of weights'),
        ({'--out': 'my.txt'}, 'must end in .py'),
        ({'--attention': 'cbam'}, "attention 'cbam': no such block; `ge-det blocks` lists them"),
        ({'--train-images': ''}, 'give --images, or both'),
        ({'--check-images': -1}, '--check-images -1 must not be below 0'),
    ],
)
def test_tool_argument_errors(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    message: str,
) -> None:
    arguments = {**_data(tmp_path), '--out': tmp_path / 'my.py', **changes}
    assert exit_code('make-config', *_arguments(arguments)) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / 'my.py').exists()


def _spoil(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text())
    content['annotations'][0].update(changes)
    file.write_text(json.dumps(content))


def test_mended_annotations_are_written_beside_the_config_which_takes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = _data(tmp_path), tmp_path / 'deep' / 'my.py'
    _spoil(data['--val-json'], id=0)
    before = data['--val-json'].read_bytes()
    assert exit_code('make-config', *_arguments({**data, '--out': out}), '--no-measure') == 0
    copy = out.with_name('my.val.json')
    assert json.loads(copy.read_text())['annotations'][0]['id'] == 1
    assert data['--val-json'].read_bytes() == before
    text = out.read_text()
    assert repr(str(copy)) in text and repr(str(data['--train-json'])) in text
    said = capsys.readouterr().err
    assert f'mended: {data["--val-json"]}: annotation ids' in said
    assert f'{copy} is the mended copy of {data["--val-json"]}; the config takes it' in said


@pytest.mark.parametrize('is_source', [True, False])
def test_a_mended_copy_replaces_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], is_source: bool
) -> None:
    data, out = _data(tmp_path), tmp_path / 'my.py'
    _spoil(data['--val-json'], id=0)
    copy = tmp_path / 'my.val.json'
    copy.write_bytes(data['--val-json'].read_bytes())
    more = ['--force'] if is_source else []
    if is_source:
        data['--val-json'] = copy
    before = copy.read_bytes()
    assert exit_code('make-config', *_arguments({**data, '--out': out}), *more) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert ('give another --out' if is_source else 'exists already') in last
    assert copy.read_bytes() == before and not out.exists()


@pytest.mark.parametrize('changes', [{}, {'--epochs': 0}, {'--pretrained': 'gone.pth'}])
def test_no_mended_copy_is_written_without_the_config(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    data = _data(tmp_path)
    for role in ('--train-json', '--val-json'):
        _spoil(data[role], id=0)
    if not changes:
        (tmp_path / 'my.val.json').touch()
    arguments = {**data, '--out': tmp_path / 'my.py', **changes}
    assert exit_code('make-config', *_arguments(arguments)) == 2
    assert not (tmp_path / 'my.train.json').exists()
