"""ContextShapes: a detection set, drawn at run time, whose classes partly hang on far context."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ge_det.datasets import layout, painting
from ge_det.datasets.argument_checks import check_share, check_whole
from ge_det.datasets.coco_writer import encode_mask, write_folder
from ge_det.datasets.layout import Stream
from ge_det.datasets.picture import Picture
from ge_det.datasets.scene_classes import CLASSES, SCENES, class_name
from ge_det.datasets.shapes import SHAPES, SIZE_CLASSES, sizes_in_class
from ge_det.errors import UserError


@dataclass(frozen=True)
class ContextShapes:
    """Generator of a COCO-format detection set that needs no download.

    Every picture shows a scene, ``sea`` or ``land``, and only striped marks near the border of the
    image tell which: horizontal stripes at sea, vertical ones on land. Two shapes have another
    name in each scene (a disc is a ``buoy`` or a ``ball``, a triangle a ``sail`` or a ``tent``),
    so neither the object nor what surrounds it tells their class. ``ring``, ``cross`` and
    ``diamond`` need no context.

    A picture is a function of these arguments, its split and its index alone, bit for bit, on any
    machine. Pictures whose arguments differ only in ``cue_contrast``, ``cue_stripe`` and
    ``cue_agreement`` differ only inside the marks; ``cue_contrast=0`` is the control that tells
    nothing.

    Args:
        seed: Any whole number from 0.
        image_size: Height and width in pixels.
        objects: Fewest and most objects in a picture. A picture too crowded to hold its number gets
            fewer.
        context_share: Expected share of objects whose class hangs on the scene, 0 to 1.
        size_shares: Expected shares of small, medium and large objects by COCO's areas (below 32^2,
            below 96^2, and up to 160^2 pixels); they sum to 1.
        cue_marks: Number of marks in a picture, at least 1.
        cue_size: Extent of a mark in pixels, at least two stripes.
        cue_stripe: Width of a stripe in pixels, at least 1.
        cue_contrast: Grey levels between light and dark stripes, 0 to 255.
        cue_agreement: Share of marks that tell the true scene; the rest tell the other. The
            majority must always be right, so it lies above 0.5.
        cue_clearance: Empty pixels between any mark and any object, at least.
        cue_sides: How many sides of the image carry the marks, 1 to 4. Which ones is random.
        noise: Amplitude of the noise of a pixel in grey levels, 0 to 255.

    Raises:
        UserError: If an argument is not allowed, or if they leave no room for marks or objects.
    """

    #: Goes up with every change that alters a pixel or an annotation.
    VERSION: ClassVar[int] = 1
    SPLITS: ClassVar[tuple[str, ...]] = ('train', 'val')
    #: What mmdet's CocoDataset takes as ``metainfo``.
    METAINFO: ClassVar[dict[str, Any]] = {'classes': CLASSES}

    seed: int = 0
    image_size: tuple[int, int] = (192, 192)
    objects: tuple[int, int] = (2, 6)
    context_share: float = 0.5
    size_shares: tuple[float, float, float] = (0.4, 0.45, 0.15)
    cue_marks: int = 5
    cue_size: int = 16
    cue_stripe: int = 4
    cue_contrast: int = 128
    cue_agreement: float = 1.0
    cue_clearance: int = 32
    cue_sides: int = 1
    noise: int = 12

    def __post_init__(self) -> None:
        """Check every argument; lists, as configs have them, become tuples."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))
        check_whole('seed', self.seed, 0)
        check_whole('image_size', self.image_size, 1, length=2)
        check_whole('objects', self.objects, 1, length=2)
        if self.objects[0] > self.objects[1]:
            raise UserError(f'objects={self.objects}: the first number must not exceed the second')
        check_share('context_share', self.context_share)
        check_share('size_shares', self.size_shares, length=3)
        if abs(sum(self.size_shares) - 1) > 1e-9:
            raise UserError(f'size_shares={self.size_shares} must sum to 1')
        check_whole('cue_marks', self.cue_marks, 1)
        check_whole('cue_stripe', self.cue_stripe, 1)
        check_whole('cue_size', self.cue_size, 2 * self.cue_stripe)
        check_whole('cue_contrast', self.cue_contrast, 0, 255)
        check_share('cue_agreement', self.cue_agreement)
        check_whole('cue_clearance', self.cue_clearance, 0)
        check_whole('cue_sides', self.cue_sides, 1, 4)
        check_whole('noise', self.noise, 0, 255)
        if 2 * self._truthful_marks <= self.cue_marks:
            raise UserError(
                f'cue_agreement={self.cue_agreement} makes {self._truthful_marks} of '
                f'cue_marks={self.cue_marks} tell the true scene; more than half of them must'
            )
        self._check_room()

    def draw(self, split: str, index: int, scene: str | None = None) -> Picture:
        """Draw one picture; it does not depend on how many others are drawn.

        Args:
            split: ``'train'`` or ``'val'``.
            index: Number of the picture in its split, from 0.
            scene: Shows this scene instead of the picture's own: the same picture but for the marks
                and the names of the context classes.

        Raises:
            UserError: If the split, the index or the scene does not exist.
        """
        if split not in self.SPLITS:
            raise UserError(f'split={split!r} must be one of {self.SPLITS}')
        if not isinstance(index, (int, np.integer)) or index < 0:
            raise UserError(f'index={index!r} must be a whole number from 0')
        if scene not in (None, *SCENES):
            raise UserError(f'scene={scene!r} must be one of {SCENES} or None')

        def stream(purpose: str) -> Stream:
            return Stream('ContextShapes', self.VERSION, self.seed, split, index, purpose)

        own_scene = SCENES[stream('scene').below(len(SCENES))]
        shown = own_scene if scene is None else scene
        where = stream('objects')
        sides = [layout.SIDES[i] for i in where.order(len(layout.SIDES))[: self.cue_sides]]
        count = self.objects[0] + where.below(self.objects[1] - self.objects[0] + 1)
        items = layout.place_objects(
            where,
            layout.object_region(self.image_size, self._depth, sides),
            self._room,
            count,
            layout.whole_shares(self.size_shares),
            round(self.context_share * layout.UNIT),
        )
        levels = painting.paint(stream('colours'), self.image_size, items, self.noise)
        marks = stream('marks')
        boxes = layout.place_marks(marks, self.image_size, sides, self.cue_marks, self.cue_size)
        told = painting.paint_marks(
            marks, levels, boxes, self._truthful_marks, shown, self.cue_stripe, self.cue_contrast
        )
        annotations = []
        for item in items:
            mask = painting.item_mask(item, self.image_size)
            category = CLASSES.index(class_name(item.shape, shown)) + 1
            annotations.append(
                {
                    'category_id': category,
                    'bbox': list(item.box),
                    'area': int(mask.sum()),
                    'iscrowd': 0,
                    'segmentation': encode_mask(mask),
                }
            )
        return Picture(
            painting.to_image(levels), annotations, shown, boxes, told, count - len(items)
        )

    def write(
        self,
        out_dir: str | Path,
        train: int,
        val: int,
        overwrite: bool = False,
        progress: bool = True,
    ) -> dict[str, Path]:
        """Write the set as a COCO folder; a finished one is left as it is, a part is completed.

        The folder gets ``train/*.png``, ``val/*.png`` and ``annotations/{train,val}.json``;
        ``info`` in these holds the arguments of the set and a sha256 over the pixels of the split.

        Args:
            out_dir: A folder that is new, empty or holds this very set.
            train: Number of training pictures.
            val: Number of validation pictures.
            overwrite: Replaces another ContextShapes set in ``out_dir``. Any other content is
                refused all the same.
            progress: Shows a progress bar on a terminal.

        Returns:
            The annotation file of each split.

        Raises:
            UserError: If a count is not allowed.
            FileExistsError: If the folder holds something else.
        """
        return write_folder(self, Path(out_dir), {'train': train, 'val': val}, overwrite, progress)

    @property
    def _truthful_marks(self) -> int:
        """How many marks tell the true scene."""
        share = round(self.cue_agreement * layout.UNIT)
        return (2 * share * self.cue_marks + layout.UNIT) // (2 * layout.UNIT)

    @property
    def _depth(self) -> int:
        """Pixels from a side with marks to the nearest place for objects."""
        return layout.BORDER + self.cue_size + self.cue_clearance

    @property
    def _room(self) -> int:
        """Extent in pixels of the largest object that always fits."""
        return layout.object_room(self.image_size, self._depth, self.cue_sides)

    def _check_room(self) -> None:
        """Refuse arguments that leave no room for the marks or for objects of a size asked for."""
        count = layout.marks_per_side(self.cue_marks, self.cue_sides)
        needed = count * (self.cue_size + layout.GAP) - layout.GAP
        room = layout.band_room(self.image_size, self.cue_size)
        if needed > room:
            raise UserError(
                f'cue_marks={self.cue_marks} of cue_size={self.cue_size} on cue_sides='
                f'{self.cue_sides} need {needed} pixels along a side, but image_size='
                f'{self.image_size} has {max(room, 0)}; enlarge image_size or cue_sides'
            )
        for name, share in zip(SIZE_CLASSES, self.size_shares, strict=True):
            least = max(sizes_in_class(shape, name)[0] for shape in SHAPES)
            if share and least > self._room:
                raise UserError(
                    f'image_size={self.image_size} leaves room for objects of '
                    f'{max(self._room, 0)} pixels, but {name} ones need {least}; enlarge '
                    f'image_size, lower cue_clearance={self.cue_clearance}, '
                    f'cue_size={self.cue_size} or cue_sides={self.cue_sides}, '
                    f'or set the {name} share in size_shares to 0'
                )
