"""Labelled photos in a train and a val set."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from label_writers import PETS, SIZE, Photos, draw, voc_xml, write_coco
from PIL import Image

SPLIT = {'train': Photos({'a': PETS.boxes['one']}, PETS.classes), 'val': PETS}


def write_voc_sets(root: Path) -> None:
    """Pascal VOC in folders of sets."""
    for role, photos in SPLIT.items():
        for name, stem, boxes in photos.each():
            draw(root / role, f'{role} {name}')
            (root / role / f'{role} {stem}.xml').write_text(voc_xml(name, boxes))


def write_coco_sets(root: Path) -> None:
    """A COCO file for each set, the pictures of both in one folder."""
    for role, photos in SPLIT.items():
        write_coco(root, photos)
        shutil.move(root / 'labels.json', root / f'{role}.json')


def draw_noise(path: Path, seed: int) -> None:
    """A picture that is like no other."""
    pixels = np.random.default_rng(seed).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(SIZE).save(path)
