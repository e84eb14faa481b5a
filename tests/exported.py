"""A narrow detector with a val set of what it finds itself, to export and to measure."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from narrow_detectors import detector, narrow, pictures

from ge_det.export.cases import found_by, predict, prepare

NAMES = ('disc', 'ring', 'bar')
SIDE = 96


def write_detector(folder: Path, kind: str = 'faster-rcnn', attention: str | None = 'se') -> None:
    """Write ``my.py``, ``my_1.pth``, pictures and ``val.json`` into a folder.

    What the detector finds counts as true, so that its AP is far from 0.
    """
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(SIDE, SIDE), keep_ratio=True),
        dict(type='PackDetInputs', meta_keys=('img_id', 'ori_shape', 'img_shape', 'scale_factor')),
    ]
    data = dict(
        type='CocoDataset',
        ann_file='val.json',
        data_prefix=dict(img='pictures'),
        metainfo=dict(classes=NAMES),
        test_mode=True,
        pipeline=pipeline,
    )
    loader = dict(batch_size=2, num_workers=0, dataset=data)
    loader |= dict(sampler=dict(type='DefaultSampler', shuffle=False))
    metrics = ['bbox', 'segm'] if 'mask' in kind else 'bbox'
    config = dict(
        default_scope='mmdet',
        model=narrow(kind, attention=attention).to_dict(),
        test_dataloader=loader,
        test_evaluator=dict(type='CocoMetric', ann_file='val.json', metric=metrics),
        test_cfg=dict(type='TestLoop'),
    )
    Config(config, format_python_code=False).dump(folder / 'my.py')
    model = detector(kind, attention=attention)
    meta = dict(dataset_meta=dict(classes=NAMES))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), folder / 'my_1.pth')
    (folder / 'pictures').mkdir()
    images, annotations = [], []
    for index, size in enumerate([(72, 96), (96, 64), (96, 96), (48, 60)]):
        drawn = pictures((1, *size), seed=index)[0].permute(1, 2, 0).numpy() * 50 + 120
        picture = np.clip(drawn, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / 'pictures' / f'{index}.png'), picture)
        images.append(dict(id=index, file_name=f'{index}.png', height=size[0], width=size[1]))
        (found,) = found_by(predict(model, prepare(model, [picture], (SIDE, SIDE))))
        for box, label in zip(found.boxes.tolist(), found.labels.tolist(), strict=True):
            x, y, width, height = box[0], box[1], box[2] - box[0], box[3] - box[1]
            corners = [x, y, x + width, y, x + width, y + height, x, y + height]
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=index,
                    category_id=label,
                    bbox=[x, y, width, height],
                    area=width * height,
                    iscrowd=0,
                    segmentation=[corners],
                )
            )
    categories = [dict(id=index, name=name) for index, name in enumerate(NAMES)]
    content = dict(images=images, annotations=annotations, categories=categories)
    (folder / 'val.json').write_text(json.dumps(content))


def as_a_command_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it the current folder, and leave nothing behind that commands set for their process."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    monkeypatch.setenv('LOCAL_RANK', '0')
    monkeypatch.setattr(sys, 'argv', ['ge-det'])
