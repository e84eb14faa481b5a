"""`ge-det infer`: bad pictures stop nothing, and no file is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import exit_code
from PIL import Image

pytest.importorskip('mmdet')

from infer_runs import infer, listed, picture

from ge_det.cli.inferring.tally import Tally
from ge_det.detecting import picture_files

ROOT = Path(__file__).parents[3]


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

    assert infer(detector, photos, '--score-thr', 0) == 1
    shown = capsys.readouterr()
    made = {file.name for file in Path('out/vis').iterdir()}
    assert made == {*good, odd, 'turned.jpg', 'd.pgm.png'} - {'d.pgm'}
    assert {image['file_name'] for image in listed()['images']} == made - {'d.pgm.png'} | {'d.pgm'}
    assert Image.open('out/vis/turned.jpg').size == (32, 48)
    assert Image.open('out/vis/long.png').size == (900, 4)
    (long,) = (image['id'] for image in listed()['images'] if image['file_name'] == 'long.png')
    boxes = [one['bbox'] for one in listed()['annotations'] if one['image_id'] == long]
    assert boxes and all(x + w <= 900 and y + h <= 4 for x, y, w, h in boxes)
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
    assert '--score-thr' not in ' '.join(Tally(images=1).summary('out', 0.0))


def test_a_checkpoint_or_two_files_instead_of_a_work_dir(
    photos, detector, tmp_path, capsys
) -> None:
    picture().save(photos / 'a.png')
    shutil.copy(detector / 'my_1.pth', 'alone.pth')
    assert exit_code('infer', photos, '--checkpoint', 'alone.pth', '--out', 'out') == 2
    assert 'alone.pth: no config of a training beside it; give' in capsys.readouterr().err
    config = ('--config', detector / 'my.py')
    for number, files in enumerate([('alone.pth', *config), (detector, *config)]):
        assert exit_code('infer', photos, '--checkpoint', *files, '--out', f'out{number}') == 0
    assert exit_code('infer', photos, '--checkpoint', detector / 'my_1.pth', '--out', 'out') == 0
    assert exit_code('infer', photos, '--checkpoint', 'https://h/a.pth', '--out', 'o') == 2
    assert 'a.pth: add --config with the config it was trained with' in capsys.readouterr().err


def test_no_folder_to_draw_into(photos: Path, detector: Path, capsys) -> None:
    picture().save(photos / 'a.png')
    assert exit_code('infer', photos, '--checkpoint', detector, '--out', '') == 2
    told = capsys.readouterr().err
    assert "--out '': give a folder" in told and told.count('\n') == 1
    assert os.listdir() == ['ph']


def test_what_cannot_be_drawn_says_what_it_is(
    photos: Path, detector: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / 'a.jpg').write_text('<!DOCTYPE html>')
    assert infer(detector, photos) == 2
    assert 'ph/a.jpg: no image that can be read (a web page: download' in capsys.readouterr().err
    picture().save(photos / 'b.png')
    picture(8, 8).save(photos / 'c.png')
    monkeypatch.setattr(picture_files, 'MOST_PIXELS', 1000)
    assert infer(detector, photos) == 1
    assert '/b.png: of more than 0 million pixels: scale' in capsys.readouterr().err
    assert os.listdir('out/vis') == ['c.png']


def test_what_is_done_stays_done_on_a_full_disk(photos: Path, detector: Path) -> None:
    """The limit stands for the disk: the second picture is larger."""
    picture(16, 16).save(photos / 'a.png')
    picture(480, 320).save(photos / 'b.png')
    code = (
        'import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); '
        'resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); '
        'from ge_det.cli.main import main; sys.exit(main())'
    )
    files = ['--checkpoint', detector, '--out', 'out']
    done = subprocess.run(
        [sys.executable, '-c', code, 'infer', photos, *files],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )
    assert (done.returncode, done.stderr.count('\n')) == (2, 1)
    assert 'out/vis/b.png: cannot be written (File too large); drawn: 1 image' in done.stderr
    assert os.listdir('out/vis') == ['a.png']
