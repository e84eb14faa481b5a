"""Photos to split into train and val."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from ge_det.datasets.split import Split, split

HASH = '.rf.' + '0123456789abcdef' * 2


def scene(seed: int, width: int = 96, height: int = 72) -> np.ndarray:
    """A picture like no other."""
    rough = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(rough, (width, height), interpolation=cv2.INTER_LINEAR)


def shot_again(picture: np.ndarray) -> np.ndarray:
    """The same scene, brighter, noisier and a little aside."""
    noise = np.random.default_rng(0).normal(12, 6, picture.shape)
    return np.clip(np.roll(picture, 2, 1) * 0.9 + noise, 0, 255).astype(np.uint8)


class Photos:
    """Photos and their boxes, of a class each photo, or of none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.coco: dict[str, Any] = {
            'images': [],
            'annotations': [],
            'categories': [{'id': 3, 'name': 'cat'}, {'id': 8, 'name': 'dog'}],
        }

    def add(self, name: str, picture: np.ndarray, categories: tuple[int, ...] = (3,)) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(path)
        number = len(self.coco['images']) + 1
        height, width = picture.shape[:2]
        image = {'id': number, 'file_name': name, 'width': width, 'height': height}
        self.coco['images'].append(image)
        for category in categories:
            box = {'id': len(self.coco['annotations']) + 1, 'image_id': number, 'iscrowd': 0}
            box |= {'category_id': category, 'bbox': [1, 1, 9, 9], 'area': 81}
            self.coco['annotations'].append(box)

    def split(self, **options: Any) -> Split:
        return split(self.coco, self.folder, **options)


def names(part: dict[str, Any]) -> set[str]:
    return {image['file_name'] for image in part['images']}
