"""What a report is made of: a training's folder, its config and checkpoint, and its data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO

from ge_det.datasets.coco_file import read_lists
from ge_det.datasets.coco_index import index
from ge_det.errors import UserError
from ge_det.words import counted


@dataclass(frozen=True)
class Source:
    """A training and the data that it is measured on.

    Args:
        work_dir (Path): Folder of the training.
        config (Config): MMEngine's, as the training had it.
        checkpoint (Path): The one to measure.
        annotations (Path): COCO file of the val set.
        images (Path): Folder of its pictures.
        images_key (str): Where the config has that folder.
        classes (tuple[str, ...]): In the order of the detector's labels.
        train_annotations (tuple[Path, ...]): COCO files of what it was trained on.
    """

    work_dir: Path
    config: Any
    checkpoint: Path
    annotations: Path
    images: Path
    classes: tuple[str, ...]
    train_annotations: tuple[Path, ...] = ()
    images_key: str = 'val_dataloader.dataset.data_prefix.img'

    @property
    def folder(self) -> Path:
        """Where the report goes."""
        return self.work_dir / 'report'

    @property
    def is_best(self) -> bool:
        """Whether the checkpoint was kept for its result, as MMEngine names it."""
        return self.checkpoint.name.startswith('best_')

    def warnings(self) -> list[str]:
        """A line if photos of the val set are not where the config has them."""
        names = [str(one['file_name']) for one in self.truth.imgs.values()]
        gone = sum(not (self.images / name).is_file() for name in names)
        are, they = ('is', 'it is') if gone == 1 else ('are', 'they are')
        return [
            f'warning: {gone} of {counted(len(names), "photo")} {are} not in {self.images} any '
            f'more; tell where {they}: --cfg-options {self.images_key}=FOLDER'
        ] * bool(gone)

    @cached_property
    def truth(self) -> COCO:
        """The val set, of the detector's classes alone."""
        content = read_lists(self.annotations)
        wanted = set(self.classes)
        categories = [one for one in content['categories'] if one['name'] in wanted]
        ids = {one['id'] for one in categories}
        boxes = [one for one in content['annotations'] if one['category_id'] in ids]
        for one in boxes:
            one.setdefault('iscrowd', 0)
            one.setdefault('area', one['bbox'][2] * one['bbox'][3])
        return index({**content, 'categories': categories, 'annotations': boxes})

    @cached_property
    def category_ids(self) -> list[int]:
        """The category of each label."""
        found = {one['name']: one['id'] for one in self.truth.dataset['categories']}
        if lacks := [name for name in self.classes if name not in found]:
            raise UserError(
                f'{self.annotations}: has no class {lacks[0]!r}, which the detector was trained '
                'on; give the annotations of the training'
            )
        return [found[name] for name in self.classes]

    @cached_property
    def labels(self) -> dict[int, int]:
        """The label of each category."""
        return {category: label for label, category in enumerate(self.category_ids)}

    @cached_property
    def train_boxes(self) -> dict[str, int]:
        """How many boxes of each class it was trained on; empty if their files are gone."""
        counts: dict[str, int] = dict.fromkeys(self.classes, 0)
        for file in self.train_annotations:
            try:
                content = read_lists(file)
            except UserError:
                return {}
            names = {one['id']: one['name'] for one in content['categories']}
            for box in content['annotations']:
                name = names.get(box['category_id'])
                if name in counts and not box.get('iscrowd'):
                    counts[name] += 1
        return counts if self.train_annotations else {}
