"""`Predictor`: what mmdet finds, from any kind of picture, in pixels of the picture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip('mmdet')

from tiny_detector import narrow_detector

from ge_det import Predictor
from ge_det.errors import UserError


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory) -> Path:
    return narrow_detector(tmp_path_factory.mktemp('detector'))


@pytest.fixture(scope='module')
def predict(work_dir) -> Predictor:
    return Predictor(work_dir, score_thr=0, device='cpu')


def pixels(width: int = 48, height: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def same(one, other) -> bool:
    return (
        len(one) == len(other)
        and np.array_equal(one.xyxy, other.xyxy)
        and np.array_equal(one.confidence, other.confidence)
        and np.array_equal(one.class_id, other.class_id)
    )


def test_it_finds_what_mmdet_finds(predict: Predictor, work_dir: Path, tmp_path: Path) -> None:
    from mmdet.apis import inference_detector, init_detector

    Image.fromarray(pixels()).save(tmp_path / 'a.png')
    found = predict(tmp_path / 'a.png')
    model = init_detector(str(work_dir / 'my.py'), str(work_dir / 'my_1.pth'), device='cpu')
    theirs = inference_detector(model, str(tmp_path / 'a.png')).pred_instances
    assert len(found) == 5 and predict.names == ('disc', 'ring')
    np.testing.assert_array_equal(found.xyxy, theirs.bboxes.numpy())
    np.testing.assert_array_equal(found.confidence, theirs.scores.numpy())
    np.testing.assert_array_equal(found.class_id, theirs.labels.numpy())
    assert list(found['class_name']) == [predict.names[index] for index in found.class_id]


def test_weights_behind_a_prefix(predict: Predictor, work_dir: Path, tmp_path: Path) -> None:
    content = torch.load(work_dir / 'my_1.pth', weights_only=True)
    state = {f'teacher.module.{key}': value for key, value in content['state_dict'].items()}
    torch.save({**content, 'state_dict': state}, tmp_path / 'a.pth')
    other = Predictor(tmp_path / 'a.pth', work_dir / 'my.py', score_thr=0, device='cpu')
    assert same(other(pixels()), predict(pixels()))


def test_one_picture_in_any_form(predict: Predictor, tmp_path: Path) -> None:
    rgb = pixels()
    Image.fromarray(rgb).save(tmp_path / 'a.png')
    found = predict(str(tmp_path / 'a.png'))
    with_alpha = np.dstack([rgb, np.arange(rgb[..., 0].size).reshape(rgb.shape[:2]) % 255])
    forms = [
        Image.fromarray(rgb),
        Image.fromarray(with_alpha.astype(np.uint8)),
        rgb[..., ::-1],
        cv2.imread(str(tmp_path / 'a.png')),
        rgb[..., ::-1].astype(np.uint16) * 257,
    ]
    for one in predict(forms):
        assert same(one, found)


@pytest.mark.parametrize('kind', ['L', 'LA', 'P', 'I;16', '1', 'CMYK'])
def test_a_picture_of_pillow_is_as_its_file(predict: Predictor, tmp_path: Path, kind: str) -> None:
    image = Image.fromarray(pixels())
    if kind == 'I;16':
        image = Image.fromarray(np.arange(32 * 48, dtype=np.uint16).reshape(32, 48) * 40)
    else:
        image = image.convert(kind)
    path = tmp_path / ('a.tif' if kind == 'CMYK' else 'a.png')
    image.save(path)
    assert same(predict(path), predict(Image.open(path)))


def test_a_turned_photo_is_taken_upright(predict: Predictor, tmp_path: Path) -> None:
    image = Image.fromarray(pixels(48, 32))
    exif = image.getexif()
    exif[0x112] = 6
    image.save(tmp_path / 'a.png', exif=exif)
    from_file, from_pillow = predict([tmp_path / 'a.png', Image.open(tmp_path / 'a.png')])
    assert same(from_file, from_pillow)
    assert same(from_file, predict(np.rot90(pixels(48, 32), -1)[..., ::-1]))
    assert predict.draw(tmp_path / 'a.png', from_file).size == (32, 48)


def test_boxes_are_in_pixels_of_the_picture(predict: Predictor) -> None:
    for width, height in ((900, 4), (3, 2), (640, 480)):
        x1, y1, x2, y2 = predict(pixels(width, height)).xyxy.T
        assert (x1 >= 0).all() and (x2 <= width).all() and (y1 >= 0).all() and (y2 <= height).all()


def test_scores_below_the_limit_are_left_out(work_dir: Path, predict: Predictor) -> None:
    scores = predict(pixels()).confidence
    limit = float(np.sort(scores)[1])
    assert len(Predictor(work_dir, score_thr=limit)(pixels())) == (scores > limit).sum() < 5
    assert len(Predictor(work_dir, score_thr=1)(pixels())) == 0


def test_what_it_draws(predict: Predictor) -> None:
    bgr = pixels(200, 150)
    drawn = predict.draw(bgr)
    assert isinstance(drawn, np.ndarray) and (drawn != bgr).any()
    from_pillow = predict.draw(Image.fromarray(bgr[..., ::-1]), predict(bgr))
    assert (np.asarray(from_pillow)[..., ::-1] == drawn).all()


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (dict(checkpoint='no\nne'), "'no\\nne': no such work dir"),
        (dict(checkpoint='none'), 'none: no such work dir or checkpoint'),
        (dict(checkpoint='alone.pth'), 'alone.pth: no config of a training beside it'),
        (dict(checkpoint='alone.pth', config='none.py'), 'none.py: no such config file'),
        (dict(checkpoint='{}', score_thr=2), 'score_thr=2: scores lie between 0 and 1'),
        (dict(checkpoint='{}', device='cuda:77'), 'device cuda:77: not to be had here'),
        (dict(checkpoint='none.pth', config='{}/my.py'), 'none.pth: there is no such file'),
        (dict(checkpoint='alone.pth', config='{}/my.py'), 'alone.pth does not belong to this'),
    ],
)
def test_no_predictor(tmp_path, monkeypatch, work_dir, arguments: dict, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict={'a.weight': torch.ones(2)}, meta={}), 'alone.pth')
    told = {k: v.format(work_dir) if isinstance(v, str) else v for k, v in arguments.items()}
    with pytest.raises(UserError) as raised:
        Predictor(**told)
    assert str(raised.value).startswith(said) and '\n' not in str(raised.value)


def test_what_is_no_picture(predict: Predictor, tmp_path: Path) -> None:
    (tmp_path / 'a.jpg').write_text('<!DOCTYPE html>')
    bad = {
        str(tmp_path / 'a.jpg'): 'no picture that can be read .a web page',
        str(tmp_path / 'none.jpg'): 'No such file',
        'https://host/a.jpg': 'download it',
        str(tmp_path): 'a folder; give its pictures',
        str(tmp_path / 'a\nb.jpg'): 'a.nb.jpg.: no picture .*No such file',
        'ftp://a\nb': 'download it',
    }
    for image, said in bad.items():
        with pytest.raises(UserError, match=said) as raised:
            predict(image)
        assert str(raised.value).isprintable()
    for array in (np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4), np.uint8)):
        with pytest.raises(ValueError, match='give .H, W, 3. of uint8 in the order BGR'):
            predict(array)


def test_making_one_says_nothing_and_ge_det_stays_light(work_dir: Path) -> None:
    code = (
        'import sys, ge_det; assert "Predictor" in dir(ge_det) and "torch" not in sys.modules; '
        f'ge_det.Predictor({str(work_dir)!r}, device="cpu")'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ''), done.stderr


@pytest.mark.parametrize('wrong', [None, 3, b'photo.jpg', torch.zeros(32, 48, 3)])
def test_what_is_no_picture_at_all(predict: Predictor, wrong: object) -> None:
    with pytest.raises(ValueError, match=f'^no picture: {type(wrong).__name__}; give a path'):
        predict(wrong)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match='^no picture'):
        predict([pixels(), wrong])  # type: ignore[list-item]
