"""What `ge-det export` and `ge-det test --onnx` refuse, in a line and before the work begins."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path

import pytest

pytest.importorskip('onnxruntime')
pytest.importorskip('mmdet')

import torch  # noqa: E402
from command_line import exit_code  # noqa: E402
from exported import NAMES, as_a_command_in, write_detector  # noqa: E402
from tiny_graphs import gated  # noqa: E402

from ge_det.cli.exporting import writing  # noqa: E402
from ge_det.export.metadata import Metadata, write_metadata  # noqa: E402

Screen = pytest.CaptureFixture[str]
WORDS = ('my.py', 'my_1.pth', '--out', 'a.onnx')


@pytest.fixture(scope='module')
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('refused')
    write_detector(folder)
    (folder / 'there.onnx').touch()
    (folder / 'folder.onnx').mkdir()
    (folder / 'empty').mkdir()
    (folder / 'a.mp4').touch()
    (folder / 'spoiled').mkdir()
    (folder / 'spoiled' / '0.png').write_text('no picture')
    text = (folder / 'my.py').read_text()
    (folder / 'other.py').write_text(text.replace('depth=18', 'depth=34'))
    return folder


@pytest.fixture
def folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `my.py`, `my_1.pth` and pictures."""
    as_a_command_in(made, monkeypatch)
    return made


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ('my.py my_1.pth --out a.pth', '--out a.pth: the name must end in .onnx'),
        ('my.py my_1.pth --out no/a.onnx', '--out no/a.onnx: its folder does not exist'),
        ('my.py my_1.pth --out there.onnx', 'there.onnx is there already; choose another --out'),
        ('my.py my_1.pth --out folder.onnx --overwrite', '--out folder.onnx: is a folder'),
        ('my.py my_1.pth --out /proc/a.onnx', '--out /proc/a.onnx: cannot be written'),
        ('none.py my_1.pth --out a.onnx', 'none.py: no such config file'),
        ('my.py none.pth --out a.onnx', 'none.pth: no such checkpoint file'),
        ('my.py my_1.pth --out a.onnx --size 96 90', '--size 96 90: this detector pads'),
        ('my.py my_1.pth --out a.onnx --size 9600 96', '--size 9600 96: sides must be'),
        ('my.py my_1.pth --out a.onnx --size 96 96 --dynamic', '--dynamic: not allowed with'),
        ('my.py my_1.pth --out a.onnx --half --int8 pictures', '--int8: not allowed with'),
        ('my.py my_1.pth --out a.onnx --int8 nowhere', 'nowhere: no such image or folder'),
        ('my.py my_1.pth --out a.onnx --int8 empty', 'empty: no image or video in this folder'),
        ('my.py my_1.pth --out a.onnx --int8=', "'': no such image or folder; check the path"),
        ('my.py my_1.pth --out a.onnx --int8 none/*.png', 'none/*.png: no image or video fits'),
        ('my.py my_1.pth --out a.onnx --check a.mp4', 'a.mp4: no picture there, and videos'),
        ('my.py my_1.pth --out a.onnx --check /dev/null', 'be read (a pipe or device, not a file)'),
        ('my.py my_1.pth --out a.onnx --int8 spoiled', '0.png: no picture that can be read'),
        ('my.py my_1.pth --out a.onnx --check val.json', 'val.json: no picture that can be read'),
        ('my.py there.onnx --out a.onnx', 'there.onnx: a file of `ge-det export` is no checkpoint'),
        ('other.py my_1.pth --out a.onnx', "does not belong to this config's model"),
        ('detr.py detr.pth --out a.onnx', 'DETR cannot be exported whole'),
    ],
)
def test_bad_input_is_one_line(folder: Path, capsys: Screen, words: str, message: str) -> None:
    if 'detr' in words:
        write_detr(folder)
    assert exit_code('export', *words.split()) == 2
    shown = capsys.readouterr()
    line = shown.err.splitlines()[-1]
    assert line.startswith('export: ') and message in line
    assert 'graph:' not in shown.out  # Nothing is exported yet.
    assert not (folder / 'a.onnx').exists() and not list(folder.glob('.*.part'))


def write_detr(folder: Path) -> None:
    from ge_det.cli.preflight import build_without_memory

    file = folder / 'detr.py'
    file.write_text(
        "_base_ = 'mmdet::detr/detr_r50_8xb2-150e_coco.py'\n"
        'model = dict(backbone=dict(depth=18, base_channels=8, init_cfg=None),\n'
        '    neck=dict(in_channels=[64], out_channels=16),\n'
        '    encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=dict(embed_dims=16),\n'
        '        ffn_cfg=dict(embed_dims=16, feedforward_channels=16))),\n'
        '    decoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=dict(embed_dims=16),\n'
        '        cross_attn_cfg=dict(embed_dims=16),\n'
        '        ffn_cfg=dict(embed_dims=16, feedforward_channels=16))),\n'
        '    positional_encoding=dict(num_feats=8), bbox_head=dict(embed_dims=16))\n'
    )
    model = build_without_memory(str(file))
    state = {name: torch.zeros(value.shape) for name, value in model.state_dict().items()}
    torch.save(dict(state_dict=state), folder / 'detr.pth')


@pytest.mark.parametrize('option', ['--check', '--int8'])
def test_pictures_are_looked_for_before_the_detector_is_built(
    folder: Path, capsys: Screen, option: str
) -> None:
    assert exit_code('export', *WORDS, option, 'empty') == 2
    shown = capsys.readouterr()
    assert 'empty: no image or video in' in shown.err and 'weights:' not in shown.out


def test_what_is_missing_is_named_with_its_extra(
    folder: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name: None if name == 'onnxscript' else find(name)
    )
    assert exit_code('export', 'my.py', 'my_1.pth', '--out', 'a.onnx') == 2
    assert capsys.readouterr().err == (
        "export: onnxscript is not installed here: pip install 'ge-det[export]'\n"
    )


def test_ctrl_c_leaves_nothing_behind(
    folder: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = []

    def interrupted(file: Path, metadata: Metadata) -> None:
        """As if somebody pressed it once the graph is written."""
        parts.append(file.stat().st_size)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(writing, 'write_metadata', interrupted)
    before = sorted(os.listdir())
    assert exit_code('export', *WORDS, '--what', 'backbone') == 130
    assert capsys.readouterr().err.endswith(
        'export: interrupted; nothing is written; run it again\n'
    )
    assert parts and parts[0] > 1000 and sorted(os.listdir()) == before


def test_a_file_that_is_no_detector_of_ours(folder: Path, capsys: Screen) -> None:
    file = gated(folder / 'maps.onnx')
    words = ['--onnx', 'maps.onnx', 'my.py', '--work-dir', 'measured']
    told = ['maps.onnx: not written by this `ge-det export`', 'maps.onnx: gives maps']
    for message in told:
        assert exit_code('test', *words) == 2
        shown = capsys.readouterr()
        (line,) = shown.err.splitlines()
        assert line.startswith(f'test: {message}') and not shown.out
        assert not Path('measured').exists()
        write_metadata(file, Metadata('backbone', classes=NAMES))


def test_where_nothing_is_found_the_file_is_told_to_be_unchecked(
    capsys: Screen,
) -> None:
    from ge_det.export.parity import Agreement
    from ge_det.export.rows import Row

    writing._tell([Row((64, 64), 1, Agreement()), Row((64, 96), 2, Agreement())])
    assert 'as good as unchecked; --check IMAGES' in capsys.readouterr().out
    writing._tell([Row((64, 64), 1, Agreement(2)), Row((64, 96), 2, Agreement())])
    assert 'warning' not in capsys.readouterr().out
