"""A detector for single pictures: the names of its classes, and files it cannot read."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip('mmdet')

from mmcv.transforms import LoadImageFromFile
from mmdet.structures import DetDataSample
from tiny_detector import narrow_detector

from ge_det import Predictor
from ge_det.config_reader import read_config
from ge_det.detecting import picture_files
from ge_det.detecting.detector import PictureDetector
from ge_det.errors import UserError


@pytest.fixture(scope='module')
def detector(tmp_path_factory) -> Path:
    """A work dir."""
    return narrow_detector(tmp_path_factory.mktemp('detector'))


@pytest.mark.parametrize('meta', [{}, dict(dataset_meta=dict(palette=[(0, 0, 0)]))])
@pytest.mark.parametrize('names', [('cup', 'pen'), ('cup', 'pen', 'cap')])
def test_classes_that_a_checkpoint_does_not_name(tmp_path, detector, names, meta) -> None:
    content = torch.load(detector / 'my_1.pth', weights_only=True)
    torch.save(dict(state_dict=content['state_dict'], meta=meta), tmp_path / 'bare.pth')
    cfg = read_config(str(detector / 'my.py'))
    found = PictureDetector(cfg, str(tmp_path / 'bare.pth'), 'cpu', names)
    assert found.names == (names if len(names) == 2 else ('class 0', 'class 1'))


def test_classes_that_a_checkpoint_names(tmp_path, detector) -> None:
    cfg = read_config(str(detector / 'my.py'))
    cfg.test_dataloader.dataset.backend_args = dict(backend='local')
    content = torch.load(detector / 'my_1.pth', weights_only=True)
    content['meta']['dataset_meta']['classes'] = ('cup', 'pen', 'table')  # As with panoptic heads.
    torch.save(content, tmp_path / 'my.pth')
    found = PictureDetector(cfg, str(tmp_path / 'my.pth'), 'cpu')
    assert found.names == ('cup', 'pen', 'table')


@pytest.mark.parametrize('form', ['joined', 'wrapped', 'with classes for types', 'dumped of them'])
def test_any_form_of_a_test_set(detector, form) -> None:
    cfg = read_config(str(detector / 'my.py'))
    data = cfg.test_dataloader.dataset
    if form == 'joined':
        cfg.test_dataloader.dataset = dict(type='ConcatDataset', datasets=[data, data])
    elif form == 'wrapped':
        cfg.test_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=data)
    else:
        name = 'mmcv.transforms.loading.LoadImageFromFile'
        data.pipeline[0].type = name if 'dumped' in form else LoadImageFromFile
    image = np.full((32, 48, 3), 99, np.uint8)
    found = PictureDetector(cfg, str(detector / 'my_1.pth'), 'cpu')
    same = Predictor(detector, score_thr=0)(image)
    assert len(same) == 5
    np.testing.assert_array_equal(found.detect(found.take(image)).xyxy, same.xyxy)


@pytest.mark.parametrize('loader', [None, dict(dataset=dict(type='CocoDataset'))])
def test_without_a_test_set(detector, loader) -> None:
    cfg = read_config(str(detector / 'my.py'))
    cfg.test_dataloader = loader
    with pytest.raises(UserError, match=r'my\.py: its test_dataloader has no .*; add one$'):
        PictureDetector(cfg, str(detector / 'my_1.pth'), 'cpu')


def test_a_head_that_finds_no_single_objects(detector, monkeypatch) -> None:
    """As one for panoptic segmentation alone."""
    predict = Predictor(detector)
    monkeypatch.setattr(
        type(predict._detector.model), 'predict', lambda *_, **__: [DetDataSample()]
    )
    image = np.zeros((8, 8, 3), np.uint8)
    assert len(predict(image)) == len(predict(image).data['class_name']) == 0
    assert (predict.draw(image) == image).all()


@pytest.mark.skipif(not hasattr(os, 'seteuid') or os.geteuid() != 0, reason='needs a root')
def test_a_picture_that_may_not_be_read_stops_nothing() -> None:
    folder = Path(tempfile.mkdtemp())  # Not in one of pytest's, which are closed to others.
    try:
        folder.chmod(0o755)
        Image.new('RGB', (8, 8)).save(folder / 'a.png')
        (folder / 'a.png').chmod(0)
        os.seteuid(65534)
        try:
            assert picture_files.why_unreadable(folder / 'a.png') == 'Permission denied'
        finally:
            os.seteuid(0)
    finally:
        shutil.rmtree(folder)
