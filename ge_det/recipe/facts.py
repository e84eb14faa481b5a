"""What a recipe follows from: the labelled photos and the machine."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ge_det.datasets.coco_file import CocoFile
from ge_det.words import counted


@dataclass(frozen=True)
class Photos:
    """The photos that a detector learns from.

    Args:
        num_images (int): Those with a box.
        num_val (int): Photos to measure on.
        edges (ndarray): Width and height of the picture of each box in pixels, shape (boxes, 2).
        boxes (ndarray): Width and height of each box in pixels, shape (boxes, 2).
        classes (tuple[str]): Names of the classes.
        has_masks (bool): Whether most of the boxes have a mask that is no box. Defaults to False.
        has_ignored (bool): Whether something is neither to be learned nor to be background.
            Defaults to False.
        most_objects (int): Objects on a photo, of which one photo in twenty has more. Defaults to
            0.
    """

    num_images: int
    num_val: int
    edges: np.ndarray
    boxes: np.ndarray
    classes: tuple[str, ...]
    has_masks: bool = False
    has_ignored: bool = False
    most_objects: int = 0

    @classmethod
    def of(cls, train: CocoFile, val: CocoFile) -> Photos:
        """Those of a train and a val set that were checked."""
        edges = {image['id']: (image['width'], image['height']) for image in train.images}
        found = [one for one in train.annotations if not one.get('iscrowd')]
        masks = sum(_is_outline(one.get('segmentation')) for one in found)
        return cls(
            num_images=train.images_with_boxes(),
            num_val=len(val.images),
            edges=_pairs([edges[one['image_id']] for one in found]),
            boxes=_pairs([one['bbox'][2:] for one in found]),
            classes=train.classes,
            has_masks=2 * masks > len(found),
            has_ignored=len(found) < len(train.annotations),
            most_objects=max(map(_most_objects, (train, val))),
        )

    def scaled(self, scale: Sequence[int]) -> np.ndarray:
        """Width and height of each box after its picture was made to fit, shape (boxes, 2).

        Args:
            scale (Sequence[int]): Two edges, as mmdet's Resize takes them: the longer one is for
                the longer edge of the picture.
        """
        long, short = self.edges.max(1), self.edges.min(1)
        factor = np.minimum(max(scale) / long, min(scale) / short)
        return np.maximum(self.boxes * factor[:, None], 1e-3)

    def small_object(self, scale: Sequence[int]) -> float:
        """Size that one object in ten stays below: square root of its area in pixels."""
        sizes = np.sqrt(self.scaled(scale).prod(1))
        return float(np.quantile(sizes, 0.1)) if len(sizes) else 0.0

    @property
    def shape(self) -> tuple[int, int]:
        """Longer and shorter edge of most pictures, in pixels."""
        edges = np.sort(self.edges, 1)[:, ::-1]
        long, short = np.median(edges, 0) if len(edges) else (640, 480)
        return int(long), int(short)


@dataclass(frozen=True)
class Machine:
    """What a detector is trained on.

    Args:
        cores (int): Cores of the CPU that this process may use.
        gpu (str): Name of the GPU, empty without one. Defaults to ''.
        gpu_memory (float): Its memory in GB. Defaults to 0.
        memory (float): Of the machine, in GB. Defaults to infinity, unknown.
    """

    cores: int
    gpu: str = ''
    gpu_memory: float = 0.0
    memory: float = float('inf')

    @classmethod
    def here(cls) -> Machine:
        """The one that this process runs on."""
        import torch

        has_affinity = hasattr(os, 'sched_getaffinity')
        cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
        memory = float('inf')
        if 'SC_PHYS_PAGES' in os.sysconf_names:
            memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30
        if not torch.cuda.is_available():
            return cls(cores, memory=memory)
        gpu = torch.cuda.get_device_properties(0)
        return cls(cores, gpu.name, gpu.total_memory / 2**30, memory)

    def __str__(self) -> str:
        if self.gpu:
            return f'{self.gpu} of {self.gpu_memory:.0f} GB'
        return f'{counted(self.cores, "core")} without a GPU'


def _pairs(values: list[Sequence[float]]) -> np.ndarray:
    return np.array(values, dtype=float).reshape(-1, 2)


def _most_objects(coco: CocoFile) -> int:
    counts = Counter(one['image_id'] for one in coco.annotations if not one.get('iscrowd'))
    return math.ceil(np.quantile([*counts.values()], 0.95)) if counts else 0


def _is_outline(segmentation: object) -> bool:
    """Whether a segmentation is more than the four corners of a box."""
    if isinstance(segmentation, list):
        return any(isinstance(polygon, list) and len(polygon) > 8 for polygon in segmentation)
    return isinstance(segmentation, dict)
