"""The example detects with numpy and onnxruntime alone, as mmdet's pipeline and ours do."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnxruntime')
pytest.importorskip('mmdet')

import mmcv  # noqa: E402
from PIL import Image  # noqa: E402
from tiny_graphs import constant_detector  # noqa: E402

from ge_det.export.metadata import Metadata, write_metadata  # noqa: E402

EXAMPLE = Path(__file__).parents[2] / 'examples' / 'onnx_detect.py'
ABOUT = Metadata(
    'detect',
    mean=(10.0, 20.0, 30.0),
    std=(2.0, 3.0, 4.0),
    pad_divisor=32,
    scale=(133, 80),
    classes=('disc', 'ring'),
)


def picture(height: int = 50, width: int = 90) -> np.ndarray:
    """Smooth, RGB."""
    y, x = np.mgrid[:height, :width]
    return np.stack([2 * x, 3 * y, x + y], -1).astype(np.uint8)


def write_detector(file: Path, about: Metadata = ABOUT) -> Path:
    boxes = np.array([[0, 0, 66.5, 40], [10, 10, 20, 20], [0, 0, 0, 0]])
    constant_detector(file, boxes, np.array([0.9, 0.2, 0.0]), np.array([1, 0, -1]))
    write_metadata(file, about)
    return file


def test_it_is_short() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 60


def make_bare_python(folder: Path) -> Path:
    """Make a virtual environment with numpy and onnxruntime, and no other package."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob('lib/python*/site-packages')
    installed = Path(np.__file__).parents[1]
    for name in ('numpy', 'numpy.libs', 'onnxruntime'):
        (packages / name).symlink_to(installed / name)
    return folder / 'bin' / 'python'


@pytest.mark.skipif(os.name != 'posix', reason='environments elsewhere have other folders')
def test_without_torch_and_all_that(tmp_path: Path) -> None:
    model = write_detector(tmp_path / 'a.onnx')
    Image.fromarray(picture()).save(tmp_path / 'a.ppm')
    python = make_bare_python(tmp_path / 'bare')
    words = [python, '-I', EXAMPLE, model, tmp_path / 'a.ppm']
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    # 50x90 fits 133x80 times 133 / 90, which makes it 74x133; half of it is half of the picture.
    path, name, score, *box = line.split()
    assert (path, name, score) == (str(tmp_path / 'a.ppm'), 'ring', '0.90')
    assert [float(side) for side in box] == [0, 0, 45, 27]
    saved = np.load(tmp_path / 'a.ppm.npz')
    assert saved['labels'].tolist() == [1]
    assert saved['boxes'][0].tolist() == pytest.approx([0, 0, 45, 40 * 50 / 74], rel=1e-5)


@pytest.fixture(scope='module')
def example(tmp_path_factory: pytest.TempPathFactory):
    """Its functions, after a run on no picture."""
    model = write_detector(tmp_path_factory.mktemp('example') / 'a.onnx')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', ['x', str(model)])
        return runpy.run_path(str(EXAMPLE))


@pytest.mark.parametrize('channels', ['RGB', 'BGR'])
@pytest.mark.parametrize('scale', [(133, 80), (40, 30), None])
def test_pictures_are_prepared_as_mmdet_does(example, channels: str, scale) -> None:
    about = dict(vars(ABOUT), channels=channels, scale=scale)
    batch, sizes = example['prepare'](picture(), about)
    resized = mmcv.imrescale(picture(), scale) if scale else picture()
    height, width = resized.shape[:2]
    assert sizes.tolist() == [[height, width]]
    assert batch.dtype == np.float32
    assert batch.shape == (1, 3, -(-height // 32) * 32, -(-width // 32) * 32)
    order = resized if channels == 'RGB' else resized[..., ::-1]
    expected = (order - np.array(about['mean'])) / about['std']
    # OpenCV rounds to whole levels.
    inside = batch[0, :, :height, :width].transpose(1, 2, 0)
    assert np.abs((inside - expected) * about['std']).max() < 1.01
    assert not batch[0, :, height:].any() and not batch[..., width:].any()


def test_of_a_fixed_size_and_without_a_ratio_to_keep(example) -> None:
    about = dict(vars(ABOUT), size=(64, 64))
    batch, sizes = example['prepare'](picture(), about)
    assert batch.shape == (1, 3, 64, 64) and sizes.tolist() == [[36, 64]]
    about = dict(vars(ABOUT), scale=(40, 70), keep_ratio=False)
    batch, sizes = example['prepare'](picture(), about)
    assert batch.shape == (1, 3, 96, 64) and sizes.tolist() == [[70, 40]]
    batch, sizes = example['prepare'](picture(), dict(about, size=(64, 64)))  # Too small for it.
    assert batch.shape == (1, 3, 64, 64) and sizes.tolist() == [[64, 40]]
    _, sizes = example['prepare'](picture(1, 900), dict(vars(ABOUT)))
    assert sizes.tolist() == [[1, 133]]


def test_other_pictures_by_pillow(example, tmp_path: Path) -> None:
    for suffix in ('png', 'ppm'):
        file = tmp_path / f'a.{suffix}'
        Image.fromarray(picture()).save(file)
        assert (example['read'](str(file)) == picture()).all()
    turned = Image.Exif()
    turned[0x0112] = 6  # As a telephone held upright writes it: a quarter to the right.
    Image.fromarray(picture()).save(tmp_path / 'a.jpg', exif=turned, quality=95)
    read, expected = example['read'](str(tmp_path / 'a.jpg')), mmcv.imread(tmp_path / 'a.jpg')
    assert read.shape == (90, 50, 3)
    assert np.abs(read[..., ::-1].astype(int) - expected).max() < 8
    remark = (tmp_path / 'a.ppm').read_bytes().replace(b'P6\n', b'P6\n# a remark\n', 1)
    (tmp_path / 'a.ppm').write_bytes(remark)
    assert (example['read'](str(tmp_path / 'a.ppm')) == picture()).all()
