"""The page and its figures, for names and numbers of every kind."""

from __future__ import annotations

import json
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from html_page import Page
from PIL import Image

pytest.importorskip('mmdet')

from mmengine.config import Config

from ge_det.cli.report import _commands
from ge_det.errors import UserError
from ge_det.locks import only_one
from ge_det.report import detections, figures, write
from ge_det.report.source import Source
from ge_det.report.write import write_report

CONFIG = """
model = dict(type='FasterRCNN', backbone=dict(type='ge_det.AttentionResNet', depth=50))
val_dataloader = dict(dataset=dict(pipeline=[]))
"""
WILD = ('<script>alert(1)</script>', '水母', 'чайка', '$x_1$', 'a' * 99, '{{ 7 * 7 }}', '&lt;')


def made(folder: Path, names: tuple[str, ...], file_name: str = '1.png', found: int = 1) -> Source:
    """A work dir with a val set of one picture, two boxes of each class, and detections."""
    Image.new('RGB', (60, 40), 'grey').save(folder / file_name)
    boxes = [
        {'id': 2 * label + copy, 'image_id': 1, 'category_id': label, 'iscrowd': 0, 'area': 100,
         'bbox': [20 * copy, 5, 10, 10]}
        for label in range(len(names)) for copy in range(2)
    ]  # fmt: skip
    content = {
        'images': [{'id': 1, 'file_name': file_name, 'width': 60, 'height': 40}],
        'annotations': boxes,
        'categories': [{'id': label, 'name': name} for label, name in enumerate(names)],
    }
    (folder / 'val.json').write_text(json.dumps(content))
    (folder / 'epoch_3.pth').write_bytes(b'weights')
    config = Config.fromstring(CONFIG, '.py')
    source = Source(folder, config, folder / 'epoch_3.pth', folder / 'val.json', folder, names)
    source.folder.mkdir()
    results = [{**one, 'score': 0.9} for one in boxes if one['id'] % 2 < found]
    (source.folder / detections.RESULTS).write_text(json.dumps(results))
    (source.folder / detections._KEY).write_text(json.dumps(detections._key(source)))
    return source


def test_names_are_data(tmp_path: Path) -> None:
    name = '<script>&"\'水母 $1 nap\u0301.png'
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)  # matplotlib's, of letters without a shape.
        page = Page(write_report(made(tmp_path, WILD, name)))
    assert 'script' not in page.tags
    for text in (*WILD, name):
        assert text in page.text
    assert '49' not in page.text.split()


def test_a_name_that_no_font_has_is_its_number() -> None:
    assert figures.drawable(['cat', '\U0010fffd', 'a\nb', 'b' * 40]) == [
        *('cat', '#2', '#3', 'b' * (figures.LONGEST - 1) + '…')
    ]


@pytest.mark.parametrize(('classes', 'found'), [(1, 0), (3, 2), (80, 1)])
def test_few_and_many_classes(tmp_path: Path, classes: int, found: int) -> None:
    source = made(tmp_path, tuple(f'class {one}' for one in range(classes)), found=found)
    file = write_report(source)
    assert file.stat().st_size < 5e6
    page = Page(file)
    assert f'class {classes - 1}' in page.text and 'epoch measured' in page.text
    assert 'No figures of the training are there' in page.text
    assert ('Nothing is detected' in page.text) == (found == 0)
    width, height = Image.open(source.folder / 'confusion.png').size
    assert min(width, height) / figures.DPI > 0.13 * classes  # Room for a label of each.


def test_commands_have_the_score_and_paths_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / 'SCOREBOARD'
    folder.mkdir()
    source = made(folder, ('cat',), found=0)
    told = partial(_commands, folder, folder / 'my.py', source.checkpoint)
    text = Page(write_report(source, told)).text
    assert f'ge-det infer PHOTOS --checkpoint {folder} --score-thr 0.30 --out drawn' in text


def test_one_report_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = made(tmp_path, ('cat',))
    monkeypatch.setattr(write, 'only_one', partial(only_one, patience=0.1))
    with FileLock(tmp_path / '.report.lock'), pytest.raises(UserError, match='another report of'):
        write_report(source)
    write_report(source)


def test_pictures_of_another_report_are_gone(tmp_path: Path) -> None:
    source = made(tmp_path, ('cat',))
    (source.folder / 'worst_4.jpg').write_bytes(b'old')
    (source.folder / 'mine.jpg').write_bytes(b'mine')
    write_report(source)
    assert not (source.folder / 'worst_4.jpg').exists() and (source.folder / 'mine.jpg').exists()
    pixels = np.asarray(Image.open(source.folder / 'worst_1.jpg'))
    assert pixels.shape[1] > 2 * pixels.shape[0]  # Truth beside detection.


def test_pictures_of_photos_that_have_moved_stay(tmp_path: Path) -> None:
    source = made(tmp_path, ('cat',))
    page = Page(write_report(source))
    kept = (source.folder / 'worst_1.jpg').read_bytes()
    assert source.warnings() == [] and '0 to 100' in page.text
    (tmp_path / '1.png').rename(tmp_path / 'moved.png')
    assert Page(write_report(source)).loads == page.loads
    (warning,) = source.warnings()
    assert warning.startswith(f'warning: 1 of 1 photo is not in {tmp_path} any more; ')
    assert warning.endswith('--cfg-options val_dataloader.dataset.data_prefix.img=FOLDER')
    results = json.loads((source.folder / detections.RESULTS).read_text())
    results[0]['bbox'][0] += 1  # Now it would show something else.
    (source.folder / detections.RESULTS).write_text(json.dumps(results))
    assert 'not shown, no more in' in Page(write_report(source)).text
    assert (source.folder / 'worst_1.jpg').read_bytes() == kept
