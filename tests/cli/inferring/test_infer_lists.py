"""The lists that `ge-det infer` writes: all that is drawn, as COCO has it; those of others stay."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

pytest.importorskip('mmdet')

from infer_runs import infer, listed, picture, rows

from ge_det import Predictor
from ge_det.cli.inferring.lists import Earlier, Lists, about, image_record
from ge_det.cli.inferring.targets import Job


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
