"""`ge-det infer`: bad pictures stop nothing, and no file is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import exit_code
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip('mmdet')

from tiny_detector import NARROW_RETINANET

from ge_det.cli import detecting
from ge_det.cli.drawing import Tally
from ge_det.cli.drawn_files import check_targets, find_pictures, plan_files, rest
from ge_det.cli.preflight import build_without_memory
from ge_det.config_reader import read_config
from ge_det.errors import UserError

ROOT = Path(__file__).parents[2]
CONFIG = (
    NARROW_RETINANET
    + """
model.update(test_cfg=dict(score_thr=0.0, max_per_img=5))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='PackDetInputs', meta_keys=('img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
"""
)


@pytest.fixture(scope='module')
def detector(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('detector')
    (folder / 'my.py').write_text(CONFIG)
    model = build_without_memory(str(folder / 'my.py')).to_empty(device='cpu')
    torch.manual_seed(0)
    model.init_weights()
    for name, buffer in model.named_buffers():
        buffer.fill_(1.0 if name.endswith('running_var') else 0.0)
    meta = dict(dataset_meta=dict(classes=('disc', 'ring')))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / 'my.pth')
    return folder


def picture(width: int = 48, height: int = 32) -> Image.Image:
    drawn = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(drawn)


def infer(detector: Path, *arguments: object) -> int:
    files = ('--config', detector / 'my.py', '--checkpoint', detector / 'my.pth')
    return exit_code('infer', *arguments, *files, '--out', 'out')


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    (tmp_path / 'ph').mkdir()
    return tmp_path / 'ph'


def test_a_folder_of_odd_pictures(photos: Path, detector: Path, capsys) -> None:
    good = ['a.JPG', 'b.webp', 'c.tif', 'd.pgm', 'e.ppm', 'f.bmp', 'g.png', 'h.tiff', 'long.png']
    for name in good[:3] + good[4:6]:
        picture().save(photos / name)
    picture().convert('L').save(photos / 'd.pgm')
    picture().convert('LA').save(photos / 'g.png')
    grey = np.arange(32 * 48, dtype=np.uint16).reshape(32, 48) * 40
    Image.fromarray(grey).save(photos / 'h.tiff')
    picture(900, 4).save(photos / 'long.png')
    odd = 'new\nline \x1b "é".png'
    picture(3, 2).save(photos / odd)
    turned = picture(48, 32)
    exif = turned.getexif()
    exif[0x112] = 6
    turned.save(photos / 'turned.jpg', exif=exif)
    cut = (photos / 'a.JPG').read_bytes()
    (photos / 'cut.jpg').write_bytes(cut[: len(cut) // 2])
    (photos / 'empty.jpg').touch()
    (photos / 'text.png').write_text('no picture')
    (photos / 'lfs.jpg').write_text('version https://git-lfs.github.com/spec/v1\n')
    (photos / '._a.jpg').write_bytes(b'\0\5\26\7')  # macOS notes such
    os.mkfifo(photos / 'pipe.png')
    os.symlink('nowhere', photos / 'link.png')

    assert infer(detector, photos, '--score-thr', 0, '--json') == 1
    shown = capsys.readouterr()
    made = {file.name for file in Path('out/vis').iterdir()}
    assert made == {*good, odd, 'turned.jpg', 'd.pgm.png'} - {'d.pgm'}
    assert len(list(Path('out/preds').iterdir())) == len(made)
    assert Image.open('out/vis/turned.jpg').size == (32, 48)
    assert Image.open('out/vis/long.png').size == (900, 4)
    found = json.loads(Path('out/preds/long.json').read_text())
    assert all(x <= 900 and y <= 4 for *_, x, y in found['bboxes'])
    assert f'out: {len(made)} images, ' in shown.out and '6 images skipped' in shown.out
    skipped = [line for line in shown.err.splitlines() if line.startswith('skipped')]
    assert len(skipped) == 6
    for name, reason in (('cut.jpg', 'cut, damaged'), ('empty', 'is empty'), ('pipe', 'a pipe')):
        assert any(name in line and reason in line for line in skipped)
    assert Path('ph/cut.jpg').stat().st_size == len(cut) // 2


def test_no_file_is_lost(photos: Path, detector: Path, capsys) -> None:
    picture().save(photos / 'a.png')
    Path('out/vis').mkdir(parents=True)
    Path('precious.png').write_text('mine')
    os.symlink('../../precious.png', 'out/vis/a.png')
    assert infer(detector, photos) == 2
    assert 'is there already; choose another --out or add' in capsys.readouterr().err
    assert infer(detector, photos, '--overwrite') == 0
    assert Path('precious.png').read_text() == 'mine'
    before = Path('out/vis/a.png').read_bytes()
    assert infer(detector, 'out/vis', '--overwrite') == 2
    said = capsys.readouterr().err
    assert 'out/vis/a.png is one of the pictures given' in said and said.count('\n') == 1
    assert Path('out/vis/a.png').read_bytes() == before


def test_nothing_found_is_said(photos: Path, detector: Path, capsys) -> None:
    picture().save(photos / 'a.png')
    assert infer(detector, photos, '--score-thr', 1) == 0
    assert '0 detections over 1.0 drawn; the highest score is 0' in capsys.readouterr().out


def test_nothing_found_at_all_names_no_limit_that_is_at_its_end() -> None:
    assert '--score-thr' not in Tally(drawn=1).summary('out', 0.0)


def test_an_interrupted_run_goes_on(photos: Path, detector: Path, capsys) -> None:
    for name in 'abc':
        picture().save(photos / f'{name}.png')
    assert infer(detector, photos / 'a.png', photos / 'b.png', '--json') == 0
    before = Path('out/vis/a.png').stat().st_mtime_ns
    os.remove('out/vis/b.png')  # Its predictions are written first.
    capsys.readouterr()
    assert infer(detector, photos, '--json', '--resume') == 0
    said = capsys.readouterr().out
    assert '1 of 3 images are drawn already' in said and 'out: 2 images' in said
    assert sorted(os.listdir('out/vis')) == ['a.png', 'b.png', 'c.png']
    assert Path('out/vis/a.png').stat().st_mtime_ns == before
    assert infer(detector, photos, '--json', '--resume') == 0
    assert '3 of 3 images are drawn already' in capsys.readouterr().out
    for name in 'ab':
        os.remove(f'out/vis/{name}.png')
    assert infer(detector, photos, '--json', '--resume') == 2
    assert 'out/preds/a.json and 1 others are there already' in capsys.readouterr().err
    # Of what an older checkpoint has drawn, nobody knows what is to be drawn anew.
    assert infer(detector, photos, '--overwrite', '--resume') == 2
    assert 'give one of them' in capsys.readouterr().err


def test_a_run_without_json_goes_on_with_it(photos: Path, detector: Path, capsys) -> None:
    for name in 'abc':
        picture().save(photos / f'{name}.png')
    assert infer(detector, photos / 'a.png', photos / 'b.png') == 0
    before = Path('out/vis/a.png').stat().st_mtime_ns
    capsys.readouterr()
    assert infer(detector, photos, '--json', '--resume') == 0
    said = capsys.readouterr().out
    assert '2 of 3 images are drawn already, 2 of them without the file of --json' in said
    assert sorted(os.listdir('out/vis')) == ['a.png', 'b.png', 'c.png']
    assert sorted(os.listdir('out/preds')) == ['a.json', 'b.json', 'c.json']
    assert Path('out/vis/a.png').stat().st_mtime_ns == before


def test_what_cannot_be_drawn_says_what_it_is(
    photos: Path, detector: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / 'a.jpg').write_text('<!DOCTYPE html>')
    assert infer(detector, photos) == 2
    assert 'ph/a.jpg: no image that can be read (a web page: download' in capsys.readouterr().err
    picture().save(photos / 'b.png')
    picture(8, 8).save(photos / 'c.png')
    monkeypatch.setattr(detecting, 'MOST_PIXELS', 1000)
    assert infer(detector, photos) == 1
    assert '/b.png: of more than 0 million pixels: scale' in capsys.readouterr().err
    assert os.listdir('out/vis') == ['c.png']


@pytest.mark.parametrize('meta', [{}, dict(dataset_meta=dict(palette=[(0, 0, 0)]))])
@pytest.mark.parametrize('names', [('cup', 'pen'), ('cup', 'pen', 'cap')])
def test_classes_that_a_checkpoint_does_not_name(tmp_path, detector, names, meta) -> None:
    config = (detector / 'my.py').read_text()
    config += f'test_dataloader["dataset"]["metainfo"] = dict(classes={names})\n'
    (tmp_path / 'my.py').write_text(config)
    content = torch.load(detector / 'my.pth', weights_only=True)
    torch.save(dict(state_dict=content['state_dict'], meta=meta), tmp_path / 'bare.pth')
    cfg = read_config(str(tmp_path / 'my.py'))
    found = detecting.PictureDetector(cfg, str(tmp_path / 'bare.pth'), 'cpu')
    told = found._inferencer.visualizer.dataset_meta['classes']
    assert told == (names if len(names) == 2 else ('class 0', 'class 1'))


def test_classes_that_a_checkpoint_names(tmp_path, detector) -> None:
    cfg = read_config(str(detector / 'my.py'))
    cfg.test_dataloader.dataset.backend_args = dict(backend='local')
    content = torch.load(detector / 'my.pth', weights_only=True)
    content['meta']['dataset_meta']['classes'] = ('cup', 'pen', 'table')  # As with panoptic heads.
    torch.save(content, tmp_path / 'my.pth')
    found = detecting.PictureDetector(cfg, str(tmp_path / 'my.pth'), 'cpu')
    assert found._inferencer.visualizer.dataset_meta['classes'] == ('cup', 'pen', 'table')


@pytest.mark.skipif(not hasattr(os, 'seteuid') or os.geteuid() != 0, reason='needs a root')
def test_a_picture_that_may_not_be_read_stops_nothing() -> None:
    folder = Path(tempfile.mkdtemp())  # Not in one of pytest's, which are closed to others.
    try:
        folder.chmod(0o755)
        picture().save(folder / 'a.png')
        (folder / 'a.png').chmod(0)
        os.seteuid(65534)
        try:
            assert detecting.why_unreadable(folder / 'a.png') == 'Permission denied'
        finally:
            os.seteuid(0)
    finally:
        shutil.rmtree(folder)


def test_what_is_done_stays_done_on_a_full_disk(photos: Path, detector: Path) -> None:
    """The limit stands for the disk: the second picture is larger."""
    picture(16, 16).save(photos / 'a.png')
    picture(480, 320).save(photos / 'b.png')
    code = (
        'import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); '
        'resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); '
        'from ge_det.cli.main import main; sys.exit(main())'
    )
    files = ['--config', detector / 'my.py', '--checkpoint', detector / 'my.pth', '--out', 'out']
    done = subprocess.run(
        [sys.executable, '-c', code, 'infer', photos, *files],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )
    assert (done.returncode, done.stderr.count('\n')) == (2, 1)
    assert 'out/vis/b.png: cannot be written (File too large); 1 images are drawn' in done.stderr
    assert os.listdir('out/vis') == ['a.png']


def test_where_pictures_of_the_same_name_go(tmp_path: Path) -> None:
    out = tmp_path / 'out'
    names = ['x/a/s.png', 'x/b/S.png', 'x/a/t.png', 'x/a/t.jpg', 'x/a/no_suffix']
    plan = plan_files([tmp_path / name for name in names], out)
    assert [str(one.drawn.relative_to(out)) for one in plan] == [
        *('vis/a/s.png', 'vis/b/S.png', 'vis/t.png', 'vis/t.jpg', 'vis/no_suffix.png')
    ]
    assert [one.predictions.name for one in plan][2:4] == ['t.json', 't-2.json']


NAMES = st.sampled_from(
    ['a', 'A.png', 'a.png', 'a.jpg', 'a.gif', 'a.jpg.png', 'a.gif.png', 'é.bmp']
)
PATHS = st.tuples(st.sampled_from(['/p', '/p/q', '/p/q/r', '/s']), NAMES)


@settings(deadline=None, max_examples=200, database=None)
@given(st.sets(PATHS, min_size=1, max_size=8))
def test_no_two_pictures_are_drawn_into_one_file(paths: set[tuple[str, str]]) -> None:
    plan = plan_files([Path(folder, name) for folder, name in sorted(paths)], Path('/out'))
    drawn = [str(one.drawn).casefold() for one in plan]
    noted = [str(one.predictions).casefold() for one in plan]
    assert len(set(drawn)) == len(set(noted)) == len(paths)


def test_pictures_of_files_and_folders(tmp_path: Path) -> None:
    for name in ('b.JPG', 'a.png', 'notes.txt', '.hidden.png'):
        (tmp_path / name).touch()
    (tmp_path / 'folder.png').mkdir()
    found = find_pictures([str(tmp_path), str(tmp_path / 'notes.txt'), str(tmp_path / 'a.png')])
    assert [path.name for path in found] == ['a.png', 'b.JPG', 'notes.txt']
    for none in (str(tmp_path / 'none'), ''):
        with pytest.raises(UserError, match='no such image or folder'):
            find_pictures([none])
    with pytest.raises(UserError, match='images are files here; download it'):
        find_pictures(['https://host/a.jpg'])
    with pytest.raises(UserError, match='give its own folders, which are not looked into'):
        (tmp_path / 'folder.png' / 'inner').mkdir()
        find_pictures([str(tmp_path / 'folder.png')])
    with pytest.raises(UserError, match='no image in this folder'):
        find_pictures([str(tmp_path / 'folder.png')])


def test_a_name_that_is_too_long_is_told_where_it_is_written(tmp_path: Path) -> None:
    plan = plan_files([tmp_path / ('a' * 251 + '.gif')], tmp_path / 'out')
    (tmp_path / 'out' / 'vis').mkdir(parents=True)
    check_targets(plan, with_json=True, overwrite=False)
    assert rest(plan, with_json=True) == plan


def test_a_folder_that_links_to_the_pictures(tmp_path: Path) -> None:
    (tmp_path / 'ph').mkdir()
    (tmp_path / 'ph' / 'a.png').touch()
    (tmp_path / 'out').mkdir()
    os.symlink('../ph', tmp_path / 'out' / 'vis')
    plan = plan_files([tmp_path / 'ph' / 'a.png'], tmp_path / 'out')
    with pytest.raises(UserError, match='one of the pictures given'):
        check_targets(plan, with_json=False, overwrite=True)
