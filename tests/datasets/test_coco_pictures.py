"""The pictures of a COCO file: each that training would load wrongly is told."""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from coco_folder import Folder
from PIL import Image

from ge_det.datasets import coco_pictures, picture_decoding
from ge_det.datasets.coco_file import read_coco
from ge_det.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def noise(width: int = 40, height: int = 30) -> np.ndarray:
    return np.random.default_rng(0).integers(90, 255, (height, width, 3), dtype=np.uint8)


def encoded(form: str, image: np.ndarray | None = None, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    kept = {} if form in ('TGA', 'PCX', 'SGI', 'DDS', 'BMP', 'GIF', 'PPM') else {'exif': exif}
    Image.fromarray(noise() if image is None else image).save(file, form, **kept)
    return file.getvalue()


def only_line(folder: Folder, data: bytes, name: str = 'other') -> str:
    (folder.images / name).write_bytes(data)
    folder.train['images'][0]['file_name'] = name
    (line,) = folder.lines()
    return line


@pytest.mark.parametrize('form', ['JPEG', 'PNG', 'BMP', 'TIFF', 'GIF', 'WEBP', 'AVIF', 'PPM'])
def test_whole_pictures_pass_and_cut_ones_are_told(folder: Folder, form: str) -> None:
    data = encoded(form)
    (folder.images / 'whole').write_bytes(data)
    folder.train['images'][1]['file_name'] = 'whole'
    line = only_line(folder, data[: len(data) * 9 // 10], 'cut')
    assert line.startswith('error: ') and 'do not load in training (of 2 opened): 1' in line
    assert '(first: cut, ' in line


SHOWN: dict[str, tuple[str, str, dict[str, Any]]] = {
    'grey JPEG': ('L', 'JPEG', {}),
    'progressive JPEG': ('RGB', 'JPEG', {'progressive': True}),
    'CMYK JPEG': ('CMYK', 'JPEG', {}),
    'JPEG of two cameras': ('RGB', 'MPO', {}),
    'palette': ('P', 'PNG', {}),
    'one bit': ('1', 'PNG', {}),
    'grey with alpha': ('LA', 'PNG', {}),
    'colour with alpha': ('RGBA', 'PNG', {}),
    'alpha in WebP': ('RGBA', 'WEBP', {'lossless': True}),
    'fax': ('1', 'TIFF', {'compression': 'group4'}),
    'CMYK TIFF': ('CMYK', 'TIFF', {}),
    'palette BMP': ('P', 'BMP', {}),
    'JPEG 2000': ('RGB', 'JPEG2000', {}),
    **{form: ('RGB', form, {'save_all': True}) for form in ('GIF', 'WEBP', 'PNG', 'TIFF', 'AVIF')},
}


@pytest.mark.parametrize('kind', SHOWN)
def test_what_passes_loads_as_it_looks(folder: Folder, kind: str) -> None:
    """Of several frames, the first."""
    mode, form, options = SHOWN[kind]
    drawn = Image.fromarray(noise(4, 3)).resize((40, 30), Image.Resampling.BICUBIC)
    if 'save_all' in options:
        options['append_images'] = [drawn.rotate(180)]
    file = io.BytesIO()
    drawn.convert(mode).save(file, form, **options)
    (folder.images / '1.png').write_bytes(file.getvalue())
    assert folder.lines() == []
    loaded = picture_decoding._reader()(file.getvalue())
    shown = np.asarray(Image.open(file).convert('RGB'), int)
    assert np.abs(loaded[..., ::-1] - shown).mean() < 2


OTHER = {
    'empty: fetch it again': b'',
    'nothing but zeros': bytes(5000),
    'packed with gzip: unpack it': gzip.compress(b'picture'),
    'a zip archive: unpack it': b'PK\3\4',
    'a git-lfs pointer: `git lfs pull`': b'version https://git-lfs.github.com/spec/v1\n',
    'a web page: download the file itself': b'\n<!DOCTYPE HTML><html>',
    'HEIC, as phones write: convert it': b'\0\0\0\x18ftypheic',
    'a video: take frames of it': b'\0\0\0\x18ftypisom',
    'no picture': b'text',
}


@pytest.mark.parametrize('told', OTHER)
def test_other_files_are_named(folder: Folder, told: str) -> None:
    line = only_line(folder, OTHER[told])
    assert line.startswith('error: ') and f'(first: other, {told}' in line


@pytest.mark.parametrize('told', list(OTHER)[:-1])
def test_other_files_are_no_json(tmp_path: Path, told: str) -> None:
    (tmp_path / 'train.json').write_bytes(OTHER[told])
    with pytest.raises(UserError, match=re.escape(f'train.json: not JSON but {told}')):
        read_coco(tmp_path / 'train.json')


def test_a_damaged_png(folder: Folder) -> None:
    data = bytearray(encoded('PNG'))
    data[len(data) // 2] ^= 255
    assert 'PNG, damaged or' in only_line(folder, bytes(data))


def test_a_cut_picture_that_an_older_opencv_fills_with_grey(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_decoding, '_reader', lambda: lambda data: noise())
    assert 'truncated' in only_line(folder, encoded('JPEG')[:-200])


@pytest.mark.parametrize('form', ['TGA', 'PCX', 'SGI', 'DDS'])
def test_pictures_that_pillow_reads_and_training_does_not(folder: Folder, form: str) -> None:
    line = only_line(folder, encoded(form))
    assert f'other, {form}, damaged or as OpenCV does not read it); replace them, or write' in line


@pytest.mark.parametrize('form', ['PNG', 'TIFF'])
@pytest.mark.parametrize('channels', [1, 3])
def test_twelve_bits_in_sixteen(folder: Folder, form: str, channels: int) -> None:
    deep = noise().astype(np.uint16) * 16
    data = cv2.imencode(f'.{form.lower()}', deep[..., :channels])[1].tobytes()
    for image in folder.train['images']:
        (folder.images / image['file_name']).write_bytes(data)
    (line,) = folder.lines()
    assert line.startswith('error: ') and 'of 16 bits or more that load below 64 of 255' in line
    assert 'of 255 as loaded' in line and 'stretch them to 8 bits' in line


def test_sixteen_full_bits_and_dark_pictures_of_eight_pass(folder: Folder) -> None:
    deep = noise().astype(np.uint16) * 256
    (folder.images / '1.png').write_bytes(cv2.imencode('.png', deep)[1].tobytes())
    (folder.images / '2.png').write_bytes(cv2.imencode('.png', noise() // 8)[1].tobytes())
    assert folder.lines() == []


def test_pictures_of_floats(folder: Folder) -> None:
    data = cv2.imencode('.tiff', noise().astype(np.float32) / 255)[1].tobytes()
    line = only_line(folder, data)
    assert line.startswith('error: ') and 'do not load in training' in line


@pytest.mark.parametrize('form', ['JPEG', 'PNG', 'TIFF', 'WEBP', 'AVIF'])
@pytest.mark.parametrize('orientation', [3, 6])
def test_a_turn_is_told_as_training_sees_it(folder: Folder, form: str, orientation: int) -> None:
    """Where OpenCV obeys the tag, a quarter turn contradicts the JSON; a half turn never does."""
    data = encoded(form, orientation=orientation)
    (folder.images / 'turned').write_bytes(data)
    folder.train['images'][0]['file_name'] = 'turned'
    lines = folder.lines()
    loaded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if orientation == 3:
        assert len(lines) == 1 and 'mirrors or turns them within their size' in lines[0]
        assert lines[0].startswith('warning: ')
    elif loaded.shape[:2] == (40, 30):
        assert len(lines) == 1 and 'photos that their EXIF tag turns' in lines[0]
        assert lines[0].startswith('error: ')
    else:
        assert lines == []


def test_a_pipe_is_not_waited_for(folder: Folder) -> None:
    os.remove(folder.images / '1.png')
    os.mkfifo(folder.images / '1.png')
    (line,) = folder.lines()
    assert 'images not in' in line and 'no regular file' in line


def test_annotations_from_a_pipe(folder: Folder) -> None:
    folder.check()
    from ge_det.datasets.coco_check import check_coco

    os.remove(folder.root / 'val.json')
    os.mkfifo(folder.root / 'val.json')
    report = check_coco(
        folder.root / 'train.json', folder.root / 'val.json', folder.images, folder.images
    )
    (line,) = map(str, report.problems)
    assert 'val.json: not a regular file' in line


def test_very_large_pictures_load_one_at_a_time_and_are_told(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ('_ALONE', 'LARGE'):
        monkeypatch.setattr(picture_decoding, name, 40 * 30 - 1)
    monkeypatch.setattr(coco_pictures, 'LARGE', 40 * 30 - 1)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 500)  # Pillow refuses; training does not.
    lines = folder.lines()
    assert len(lines) == 2 and all(line.startswith('warning: ') for line in lines)
    assert 'million pixels (of 2 opened): 2 (first: 1.png, 40x30)' in lines[0]


def test_without_a_stack_opencv_reads_as_mmcv_would() -> None:
    pytest.importorskip('mmcv')
    with_mmcv = picture_decoding._reader()
    picture_decoding._reader.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, 'mmcv', None)
        alone = picture_decoding._reader()
    picture_decoding._reader.cache_clear()
    for form in ('JPEG', 'PNG', 'TGA'):
        data = encoded(form, orientation=6)
        one, other = with_mmcv(data), alone(data)
        assert (one is None) == (other is None) and np.array_equal(one, other)


def test_names_that_no_file_can_have(folder: Folder) -> None:
    for name in ('a\0b', 'x' * 5000, '.', '../images'):
        folder.train['images'][0]['file_name'] = name
        (line,) = folder.lines()
        assert line.isprintable() and len(line) < 600 and 'images not in' in line
