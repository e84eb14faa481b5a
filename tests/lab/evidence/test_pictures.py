"""Pictures are written and show what they should."""

import json

import numpy as np
from matplotlib import image as matplotlib_image

from ge_det.datasets import ContextShapes
from lab.evidence.pictures import draw_curves, draw_detections


def test_curves(tmp_path):
    folder = tmp_path / 'run' / '20260101_000000' / 'vis_data'
    folder.mkdir(parents=True)
    records = [dict(loss=2.0, iter=10, step=10), {'coco/bbox_mAP': 0.1, 'step': 1}]
    (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, records)))
    draw_curves({'a': tmp_path / 'run'}, tmp_path / 'curves.png')
    assert matplotlib_image.imread(tmp_path / 'curves.png').std() > 0


def test_right_boxes_are_green_and_wrong_ones_red(tmp_path):
    files = ContextShapes().write(tmp_path / 'data', train=1, val=2, progress=False)
    truth = json.loads(files['val'].read_text())['annotations']

    def sheet(name, change):
        found = [dict(change(dict(box)), score=0.9, segmentation=None) for box in truth]
        (tmp_path / f'{name}.json').write_text(json.dumps(found))
        out = tmp_path / f'{name}.png'
        draw_detections(
            files['val'], tmp_path / 'data' / 'val', {'run': tmp_path / f'{name}.json'}, out
        )
        pixels = matplotlib_image.imread(out)[..., :3]
        return [int(np.all(pixels == colour, axis=-1).sum()) for colour in ((0, 1, 0), (1, 0, 0))]

    def another_class(box):
        return dict(box, category_id=box['category_id'] % 7 + 1)

    green_all, red_all = sheet('right', lambda box: box)
    green_half, red_half = sheet('wrong', another_class)
    assert red_all == 0
    assert red_half > 0
    assert green_half < green_all
