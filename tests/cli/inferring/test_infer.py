"""`ge-det infer`: bad pictures stop nothing, and no file is lost."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from command_line import exit_code
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

pytest.importorskip('mmdet')

from tiny_detector import narrow_detector

from ge_det import Predictor
from ge_det.cli.inferring import videos
from ge_det.cli.inferring.lists import Earlier, Lists, about, image_record
from ge_det.cli.inferring.tally import Tally
from ge_det.cli.inferring.targets import Job
from ge_det.detecting import picture_files

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def detector(tmp_path_factory) -> Path:
    """A work dir."""
    return narrow_detector(tmp_path_factory.mktemp('detector'))


def picture(width: int = 48, height: int = 32) -> Image.Image:
    drawn = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(drawn)


def infer(detector: Path, *arguments: object) -> int:
    return exit_code('infer', *arguments, '--checkpoint', detector, '--out', 'out')


def listed() -> dict:
    return json.loads(Path('out/detections.json').read_text())


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


def test_the_lists_hold_what_is_drawn(photos: Path, detector: Path, capsys) -> None:
    (photos / 'in').mkdir()
    picture().save(photos / 'a.png')
    picture(64, 48).save(photos / 'in' / 'b.png')
    assert infer(detector, 'ph', '--score-thr', 0) == 0
    said = capsys.readouterr().out
    assert 'out: 2 images, 10 detections over 0.0 drawn' in said and ' s each; drawn in' in said
    assert sorted(Path('out').rglob('*.*')) == sorted(
        Path('out', name) for name in ('detections.csv', 'detections.json', *VIS)
    )
    coco = COCO('out/detections.json')
    assert [image['file_name'] for image in coco.dataset['images']] == ['a.png', 'in/b.png']
    assert [image['drawn'] for image in coco.dataset['images']] == VIS
    named = [image['path'] for image in coco.dataset['images']]
    assert all(map(os.path.samefile, named, (photos / 'a.png', photos / 'in/b.png')))
    assert {row['path'] for row in rows()} == set(named)
    assert [one['name'] for one in coco.loadCats(coco.getCatIds())] == ['disc', 'ring']
    found = Predictor(detector, score_thr=0)(photos / 'in' / 'b.png')
    theirs = coco.loadAnns(coco.getAnnIds(imgIds=[2]))
    assert [one['category_id'] - 1 for one in theirs] == list(found.class_id)
    assert np.allclose([one['score'] for one in theirs], found.confidence, atol=1e-5)
    corners = [(x, y, x + w, y + h) for x, y, w, h in (one['bbox'] for one in theirs)]
    assert np.allclose(corners, found.xyxy, atol=0.02)
    assert len(rows()) == 10 and {row['class'] for row in rows()} <= {'disc', 'ring'}
    as_read = [[float(row[key]) for key in 'xywh'] for row in rows() if row['path'] == named[1]]
    assert as_read == [one['bbox'] for one in theirs]
    assert [rows()[-1][key] for key in ('width', 'height', 'frame')] == ['64', '48', '']


VIS = ['vis/a.png', 'vis/in/b.png']


def test_the_lists_are_results_to_measure(photos: Path, detector: Path) -> None:
    picture().save(photos / 'a.png')
    assert infer(detector, photos, '--score-thr', 0) == 0
    truth = COCO('out/detections.json')
    results = truth.loadRes(listed()['annotations'])
    evaluation = COCOeval(truth, results, 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] > 0.99


def test_masks_are_listed_and_drawn(tmp_path: Path) -> None:
    masks = np.zeros((1, 32, 48), dtype=bool)
    masks[0, 4:14, 3:23] = True
    found = sv.Detections(
        xyxy=np.array([[3, 4, 23, 14]]),
        mask=masks,
        class_id=np.array([1]),
        confidence=np.array([0.5]),
    )
    lists = Lists(tmp_path, ('disc', 'ring'), about('my.pth', 0.3), Earlier([]))
    job = Job(tmp_path / 'a.png', 'a.png', tmp_path / 'vis/a.png')
    lists.add(dict(drawn='vis/a.png', images=[image_record(job, (32, 48), found)]))
    lists.finish()
    coco = COCO(str(tmp_path / 'detections.json'))
    (one,) = coco.loadAnns(coco.getAnnIds())
    assert one['area'] == 200 and (coco.annToMask(one) == masks[0]).all()


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


def test_an_interrupted_run_goes_on(photos: Path, detector: Path, capsys) -> None:
    for name in 'abc':
        picture().save(photos / f'{name}.png')
    assert infer(detector, photos / 'a.png', photos / 'b.png', '--score-thr', 0) == 0
    before = Path('out/vis/a.png').stat().st_mtime_ns
    os.remove('out/vis/b.png')
    assert infer(detector, photos, '--score-thr', 0) == 2
    assert 'out/vis/a.png and 2 others are there already' in capsys.readouterr().err
    assert infer(detector, photos, '--score-thr', 0, '--resume') == 0
    said = capsys.readouterr().out
    assert '1 of 3 images is drawn already' in said and 'out: 2 images' in said
    assert sorted(os.listdir('out/vis')) == ['a.png', 'b.png', 'c.png']
    assert Path('out/vis/a.png').stat().st_mtime_ns == before
    check_whole_lists(['a.png', 'b.png', 'c.png'])
    assert infer(detector, photos, '--score-thr', 0, '--resume') == 0
    assert '3 of 3 images are drawn already' in capsys.readouterr().out
    # Of what an older checkpoint has drawn, nobody knows what is to be drawn anew.
    assert infer(detector, photos, '--overwrite', '--resume') == 2
    assert 'give one of them' in capsys.readouterr().err
    assert infer(detector, photos, '--score-thr', 0.5, '--resume') == 2
    assert 'my_1.pth and --score-thr 0.0; --resume goes on with the same' in capsys.readouterr().err
    assert infer(detector, photos / 'a.png', '--score-thr', 0.5, '--overwrite') == 0
    assert [image['file_name'] for image in listed()['images']] == ['a.png']


def test_only_bad_pictures_are_left(photos: Path, detector: Path, capsys) -> None:
    """They are skipped as in the run before."""
    picture().save(photos / 'a.png')
    (photos / 'bad.png').write_text('<!DOCTYPE html>')
    for more in ([], ['--resume'], ['--resume']):
        assert infer(detector, photos, '--score-thr', 0, *more) == 1
        assert 'skipped ph/bad.png: a web page' in capsys.readouterr().err.replace(
            f'{photos}', 'ph'
        )
        check_whole_lists(['a.png'])
    shutil.rmtree('out')
    (photos / 'a.png').unlink()
    assert infer(detector, photos, '--resume') == 2


def test_no_folder_to_draw_into(photos: Path, detector: Path, capsys) -> None:
    picture().save(photos / 'a.png')
    assert exit_code('infer', photos, '--checkpoint', detector, '--out', '') == 2
    told = capsys.readouterr().err
    assert "--out '': give a folder" in told and told.count('\n') == 1
    assert os.listdir() == ['ph']


def check_whole_lists(names: list[str]) -> None:
    assert [image['file_name'] for image in listed()['images']] == names
    numbers = range(1, 5 * len(names) + 1)
    assert [one['id'] for one in listed()['annotations']] == list(numbers)
    assert [Path(row['path']).name for row in rows()] == [name for name in names for _ in range(5)]
    assert all(os.path.isfile(row['path']) for row in rows())
    assert not Path('out/detections.part.jsonl').exists()


def test_a_killed_run_goes_on(photos: Path, detector: Path, monkeypatch, capsys) -> None:
    """Killed while it writes a line, and once more when all is drawn but the lists."""
    for name in 'abc':
        picture().save(photos / f'{name}.png')
    part = Path('out/detections.part.jsonl')
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Lists, 'finish', killed)
        infer(detector, photos, '--score-thr', 0)
    lines = part.read_bytes().splitlines(keepends=True)
    assert len(lines) == 4 and not Path('out/detections.json').exists()
    part.write_bytes(b''.join(lines)[:-9])
    os.remove('out/vis/b.png')
    assert infer(detector, photos, '--score-thr', 0) == 2
    assert 'and 2 others are there already' in capsys.readouterr().err
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Lists, 'finish', killed)
        infer(detector, photos, '--score-thr', 0, '--resume')
    assert '2 of 3 images are drawn already, 1 of them not listed' in capsys.readouterr().out
    assert infer(detector, photos, '--score-thr', 0, '--resume') == 0
    check_whole_lists(['a.png', 'b.png', 'c.png'])


class Killed(BaseException):
    """As nothing catches it."""


def killed(*_: object) -> None:
    raise Killed


def rows() -> list[dict[str, str]]:
    with Path('out/detections.csv').open(newline='') as file:
        return list(csv.DictReader(file))


def test_lists_of_others_stay(photos: Path, detector: Path, capsys) -> None:
    picture().save(photos / 'a.png')
    Path('out').mkdir()
    Path('out/detections.csv').write_text('mine')
    for more in ((), ('--resume',)):
        assert infer(detector, photos, *more) == 2
        assert 'out/detections.csv is there already' in capsys.readouterr().err
    Path('out/detections.json').write_text('{"images": []}')
    assert infer(detector, photos, '--resume') == 2
    assert 'detections.json is not a list of ge-det infer; choose' in capsys.readouterr().err
    assert Path('out/detections.csv').read_text() == 'mine'
    assert sorted(os.listdir('out')) == ['detections.csv', 'detections.json']


def write_video(path: Path, frames: int = 4, size: tuple[int, int] = (64, 48)) -> None:
    with sv.VideoSink(str(path), sv.VideoInfo(*size, fps=8), 'mp4v') as sink:
        for number in range(frames):
            sink.write_frame(np.full((*size[::-1], 3), 60 * number, dtype=np.uint8))


def test_a_video(photos: Path, detector: Path, capsys) -> None:
    write_video(photos / 'clip.mp4')
    picture().save(photos / 'a.png')
    (photos / 'bad.mov').write_text('no video')
    assert infer(detector, photos, '--score-thr', 0) == 1
    said = capsys.readouterr()
    assert 'out: 1 image and 1 video of 4 frames, 25 detections over 0.0 drawn' in said.out
    assert said.err.splitlines()[-1].endswith(
        '/bad.mov: no video, damaged or of a kind that OpenCV does not read'
    )
    info = sv.VideoInfo.from_video_path('out/vis/clip.mp4')
    assert (info.width, info.height, info.fps, info.total_frames) == (64, 48, 8, 4)
    assert sorted(os.listdir('out/vis')) == ['a.png', 'clip.mp4']
    frames = [image for image in listed()['images'] if image['file_name'] == 'clip.mp4']
    assert [image['frame'] for image in frames] == [0, 1, 2, 3]
    assert [image['time'] for image in frames] == [0, 0.125, 0.25, 0.375]
    assert [row['time'] for row in rows() if row['path'].endswith('clip.mp4')][-1] == '0.375'
    assert infer(detector, photos, '--score-thr', 0, '--resume') == 1  # The bad one is left.
    assert infer(detector, photos / 'clip.mp4', '--score-thr', 0, '--resume') == 0
    assert '1 of 1 image is drawn already' in capsys.readouterr().out


def test_without_the_codec_a_video_is_skipped(photos, detector, monkeypatch, capsys) -> None:
    write_video(photos / 'clip.mp4')
    picture().save(photos / 'a.png')
    monkeypatch.setattr(videos, '_CODEC', 'none')
    assert infer(detector, photos) == 1
    assert 'clip.mp4: OpenCV writes no MP4 here, for want of' in capsys.readouterr().err
    assert os.listdir('out/vis') == ['a.png']


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
