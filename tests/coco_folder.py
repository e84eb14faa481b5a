"""A small sound data set in COCO format, which tests then spoil."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from ge_det.datasets.coco_check import CocoReport, check_coco

Data = dict[str, Any]


def coco(first_id: int = 1) -> Data:
    """Two images of 40x30, three boxes, two classes."""
    images = [
        {'id': first_id + i, 'file_name': f'{first_id + i}.png', 'width': 40, 'height': 30}
        for i in range(2)
    ]
    annotations = [
        {
            'id': first_id + i,
            'image_id': first_id + i % 2,
            'category_id': 5 + i % 2,
            'bbox': [10 * i, 5, 10, 20],
            'area': 200,
            'iscrowd': 0,
            'segmentation': [[10 * i, 5, 10 * i + 10, 5, 10 * i, 25]],
        }
        for i in range(3)
    ]
    categories = [{'id': 5, 'name': 'cat'}, {'id': 6, 'name': 'dog'}]
    return {'images': images, 'annotations': annotations, 'categories': categories}


class Folder:
    """A folder with a sound train and val set, which a test then spoils."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.train, self.val = coco(1), coco(11)
        self.images = root / 'images'
        self.images.mkdir()
        for image in self.train['images'] + self.val['images']:
            shade = (image['id'],) * 3  # No two are one.
            Image.new('RGB', (40, 30), shade).save(self.images / image['file_name'])

    def check(self, **options: Any) -> CocoReport:
        for name in ('train', 'val'):
            (self.root / f'{name}.json').write_text(json.dumps(getattr(self, name)))
        files = [self.root / 'train.json', self.root / 'val.json']
        return check_coco(*files, self.images, self.images, **options)

    def lines(self, **options: Any) -> list[str]:
        return [str(problem) for problem in self.check(**options).problems]
