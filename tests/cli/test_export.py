"""`ge-det export` and `ge-det test --onnx`, from a config and weights to a measured file."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnxruntime')
pytest.importorskip('mmdet')

import onnx  # noqa: E402
from command_line import exit_code  # noqa: E402
from exported import NAMES, SIDE, as_a_command_in, write_detector  # noqa: E402

from ge_det.cli.exporting import writing  # noqa: E402
from ge_det.cli.exporting.graph import Graph, fitted  # noqa: E402
from ge_det.export.session import Session  # noqa: E402
from ge_det.files import sha256_of  # noqa: E402

Screen = pytest.CaptureFixture[str]


@pytest.fixture(scope='module')
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('export')
    write_detector(folder)
    return folder


@pytest.fixture
def folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `my.py`, `my_1.pth`, pictures and what tests before have written."""
    as_a_command_in(made, monkeypatch)
    return made


@pytest.fixture(scope='module')
def whole(made: Path) -> tuple[Path, str]:
    """The detector at any size, and what the screen said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        patch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
        said = made / 'said.txt'
        with said.open('w') as stream:
            patch.setattr(sys, 'stdout', stream)
            code = exit_code('export', 'my.py', 'my_1.pth', '--out', 'whole.onnx')
    assert code == 0
    return made / 'whole.onnx', said.read_text()


def rows(said: str) -> list[list[str]]:
    """Cells of the table of a check, without its head."""
    return [line.split() for line in said.splitlines() if re.match(r' +\d+x\d+ ', line)]


def test_a_whole_detector_is_checked_and_written(whole: tuple[Path, str]) -> None:
    file, said = whole
    assert 'graph:   detector, batch, height and width open' in said
    assert "2 pictures of the config's data" in said
    table = rows(said)
    assert [cells[:2] for cells in table] == [
        ['96x96', '1'],
        ['160x96', '1'],
        ['96x160', '1'],
        ['96x160', '2'],
    ]
    for _, _, compared, lacking, overlap, score in table:
        assert int(compared) > 4 and lacking == '0'
        assert float(overlap) > 0.99 and float(score) < 1e-3
    assert re.search(r"time:    [\d.]+ of PyTorch's at 96x96", said)
    assert said.splitlines()[-1].startswith('whole.onnx is written')
    assert {one.domain for one in onnx.load(str(file)).opset_import} <= {'', 'ai.onnx'}


def test_the_file_says_what_it_needs(whole: tuple[Path, str], folder: Path) -> None:
    about = Session(whole[0]).metadata
    assert (about.task, about.classes, about.precision) == ('detect', NAMES, 'float32')
    assert (about.mean, about.channels) == ((123.675, 116.28, 103.53), 'RGB')
    assert (about.scale, about.size, about.pad_divisor) == ((SIDE, SIDE), None, 32)
    assert about.score_threshold == 0.5
    assert about.weights_sha256 == sha256_of(folder / 'my_1.pth')
    assert {'ge_det', 'torch', 'mmdet', 'opset'} == set(about.versions or {})


def test_its_ap_is_that_of_pytorch(whole: tuple[Path, str], folder: Path, capsys: Screen) -> None:
    figures = []
    for words in (['my.py', 'my_1.pth'], ['--onnx', 'whole.onnx', 'my.py']):
        out = f'work_{len(figures)}'
        assert exit_code('test', *words, '--work-dir', out) == 0, capsys.readouterr().err
        (log,) = (one for one in Path(out).glob('*/*.json'))
        figures.append(json.loads(log.read_text().splitlines()[-1]))
    before, after = figures
    assert before['coco/bbox_mAP'] > 0.5
    assert after['coco/bbox_mAP'] == pytest.approx(before['coco/bbox_mAP'], abs=1e-3)
    assert 'file:    whole.onnx, float32' in capsys.readouterr().out


def test_measuring_leaves_the_config_of_the_training(
    whole: tuple[Path, str], folder: Path, capsys: Screen
) -> None:
    """`infer`, `report` and others take it from the work dir."""
    trained = Path('trained/my.py')
    trained.parent.mkdir()
    trained.write_text("model = dict(type='as trained')\n")
    for words in (['my.py', 'my_1.pth'], ['--onnx', 'whole.onnx', 'my.py']):
        out = [*words, '--work-dir', 'trained', '--cfg-options', 'test_dataloader.batch_size=1']
        assert exit_code('test', *out) == 0, capsys.readouterr().err
        assert trained.read_text() == "model = dict(type='as trained')\n"
        (used,) = Path('trained').glob('*/my.py')  # Beside the log.
        assert 'batch_size=1' in used.read_text()
        shutil.rmtree(used.parent)


def test_a_file_is_measured_with_hooks_that_copy_the_model(
    whole: tuple[Path, str], folder: Path, capsys: Screen
) -> None:
    Path('ema.py').write_text("_base_ = 'my.py'\ncustom_hooks = [dict(type='EMAHook')]\n")
    words = ['--onnx', 'whole.onnx', 'ema.py', '--work-dir', 'ema']
    assert exit_code('test', *words) == 0, capsys.readouterr().err
    assert 'coco/bbox_mAP: ' in capsys.readouterr().out


def test_files_that_do_not_go_with_the_config(
    whole: tuple[Path, str], folder: Path, capsys: Screen
) -> None:
    words = ['--onnx', 'whole.onnx', 'my.py', '--cfg-options']
    change = 'test_dataloader.dataset.metainfo.classes=[disc,ring]'
    assert exit_code('test', *words, change) == 2
    assert "whole.onnx: finds the classes ('disc', 'ring', 'bar')" in capsys.readouterr().err
    assert exit_code('test', '--onnx', 'none.onnx', 'my.py') == 2
    assert 'none.onnx: no such' in capsys.readouterr().err
    assert exit_code('test', '--onnx', 'my_1.pth', 'my.py') == 2
    assert 'my_1.pth: onnxruntime does not take it' in capsys.readouterr().err


def test_of_one_size_in_eight_bits(folder: Path, capsys: Screen) -> None:
    words = ['my.py', 'my_1.pth', '--out', 'small.onnx', '--size', 96, 96, '--int8', 'pictures']
    assert exit_code('export', *words) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert 'graph:   detector, one picture of 96x96' in said
    assert len(rows(said)) == 1
    assert re.search(r'int8:    \d+ layers in eight bits by 4 pictures, 8 gates in float', said)
    before, after = map(float, re.findall(r'AP ([\d.]+) -> ([\d.]+) in eight bits', said)[0])
    assert before > 0.5 and after <= before + 0.05
    model = onnx.load('small.onnx')
    types = {one.name: one.data_type for one in model.graph.initializer}
    gates = {name: kind for name, kind in types.items() if 'se_layer' in name}
    assert len(gates) >= 16 and set(gates.values()) == {onnx.TensorProto.FLOAT}
    about = Session('small.onnx').metadata
    assert (about.precision, about.size) == ('int8', (96, 96))
    # A picture that is larger is made smaller, as mmdet reads it.
    assert exit_code('test', '--onnx', 'small.onnx', 'my.py', '--work-dir', 'small') == 0


def test_features_in_half_precision_of_a_work_dir(folder: Path, capsys: Screen) -> None:
    shutil.copy('my_1.pth', 'best_coco_bbox_mAP_epoch_1.pth')
    Path('there.onnx').touch()
    words = ['my.py', '.', '--out', 'there.onnx', '--what', 'features', '--overwrite', '--half']
    try:
        assert exit_code('export', *words, '--check', 'pictures/0.png') == 0
    finally:
        os.remove('best_coco_bbox_mAP_epoch_1.pth')
    said = capsys.readouterr().out
    assert 'weights: best_coco_bbox_mAP_epoch_1.pth' in said
    assert '1 picture of --check' in said
    exact, half = rows(said)[:4], rows(said)[4:]
    assert len(half) == 4 and max(float(cells[2]) for cells in exact) <= 1e-4
    assert all(1e-4 < float(cells[2]) < 2e-2 for cells in half)
    session = Session('there.onnx')
    maps = session.run(np.zeros((3, 3, 64, 160), np.float32))
    assert maps['level0'].shape == (3, 16, 16, 40) and maps['level0'].dtype == np.float32
    assert len(maps) == 5
    assert exit_code('test', '--onnx', 'there.onnx', 'my.py', '--work-dir', 'half') == 2
    assert 'gives maps, not detections' in capsys.readouterr().err


def test_that_a_file_sees_the_whole_map_is_told(folder: Path, capsys: Screen) -> None:
    watching = "\nmodel['backbone'].update(valid_area=True)\n"
    Path('watching.py').write_text(Path('my.py').read_text() + watching)
    for config, is_told in (('watching.py', True), ('my.py', False)):
        words = [config, 'my_1.pth', '--out', f'{config}.onnx', '--what', 'backbone']
        assert exit_code('export', *words, '--size', 64, 64) == 0
        said = capsys.readouterr().out
        assert ('note: the file has no valid_area: its gates see the whole map' in said) is is_told


def spoil(file: Path) -> None:
    """As if a layer of the neck were written wrong."""
    model = onnx.load(str(file))
    for one in model.graph.initializer:
        if one.name.endswith('neck.fpn_convs.0.conv.weight'):
            values = onnx.numpy_helper.to_array(one)
            one.CopyFrom(onnx.numpy_helper.from_array(values + values / 2, one.name))
    onnx.save(model, str(file))


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        ('--what features', r"maps differ from PyTorch's by \S+ of the largest value at 64x64"),
        ('--half', r'detections differ .* at 64x64, batch 1; the first stage .* is neck_0, by'),
    ],
)
def test_one_that_differs_is_not_written(
    folder: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch, words: str, told: str
) -> None:
    write, to_half = Graph.write, writing.to_half

    def write_spoiled(self: Graph, file: Path, with_stages: bool = False) -> None:
        write(self, file, with_stages)
        spoil(file)

    def to_spoiled_half(file: Path, out: Path) -> int:
        nodes = to_half(file, out)
        spoil(out)
        return nodes

    if words == '--half':
        monkeypatch.setattr(writing, 'to_half', to_spoiled_half)
    else:
        monkeypatch.setattr(Graph, 'write', write_spoiled)
    before = sorted(os.listdir())
    more = ['--out', 'bad.onnx', '--size', 64, 64, *words.split()]
    assert exit_code('export', 'my.py', 'my_1.pth', *more) == 2
    shown = capsys.readouterr()
    assert re.search(f'bad.onnx: not written: .*{told}', shown.err)
    assert rows(shown.out) and sorted(os.listdir()) == before


def test_sizes_are_multiples_within_bounds() -> None:
    assert fitted((800, 1333), 32) == (800, 1344)
    assert fitted((10, 5000), 32) == (64, 2048)
    assert fitted((67.2, 76.8), 32) == (96, 96)
    assert fitted((33, 33), 1) == (33, 33)


def test_ap_lost_is_told_of_every_evaluator() -> None:
    before = {'coco/bbox_mAP': 0.5, 'coco/bbox_mAP_50': 0.75, 'pascal_voc/mAP': 0.25}
    assert writing.lost(before, {'pascal_voc/mAP': 0.125}) == [
        '  AP 0.500 -> 0.000 in eight bits: 0.500 lost',
        '  pascal_voc/mAP 0.250 -> 0.125 in eight bits: 0.125 lost',
    ]
    assert writing.lost({}, {}) == [
        '  no AP to compare: the evaluator gives none, as where nothing is found'
    ]
