"""Small writers of every format of labels, each as its tool lays files out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from PIL import Image

SIZE = (60, 40)
Box = tuple[str, float, float, float, float]
"""A class, then x, y, width and height in pixels."""


@dataclass
class Photos:
    """Photos of 60 x 40 pixels by their names, with their boxes; the classes in their order."""

    boxes: dict[str, list[Box]]
    classes: list[str]

    def each(self) -> list[tuple[str, str, list[Box]]]:
        return [(f'{stem}.png', stem, boxes) for stem, boxes in self.boxes.items()]


def draw(folder: Path, name: str, size: tuple[int, int] = SIZE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', size).save(folder / name)
    return folder / name


def voc_xml(name: str, boxes: list[Box], size: tuple[int, int] = SIZE) -> str:
    objects = ''.join(
        f'<object><name>{escape(kind)}</name><difficult>0</difficult><bndbox><xmin>{x}</xmin>'
        f'<ymin>{y}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>'
        for kind, x, y, w, h in boxes
    )
    width, height = size
    sides = f'<size><width>{width}</width><height>{height}</height><depth>3</depth></size>'
    return f'<annotation><filename>{escape(name)}</filename>{sides}{objects}</annotation>'


def write_voc(root: Path, photos: Photos) -> None:
    for name, stem, boxes in photos.each():
        draw(root / 'JPEGImages', name)
        (root / 'Annotations').mkdir(exist_ok=True)
        (root / 'Annotations' / f'{stem}.xml').write_text(voc_xml(name, boxes), 'utf-8')


def write_voc_beside(root: Path, photos: Photos) -> None:
    for name, stem, boxes in photos.each():
        draw(root / 'day 1', name)
        (root / 'day 1' / f'{stem}.xml').write_text(voc_xml(name, boxes), 'utf-8')


def yolo_text(boxes: list[Box], classes: list[str], segments: bool = False) -> str:
    width, height = SIZE
    lines = []
    for kind, x, y, w, h in boxes:
        corners = [x, y, x + w, y, x + w, y + h, x, y + h]
        numbers = [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
        if segments:
            numbers = [v / side for v, side in zip(corners, SIZE * 4, strict=True)]
        lines.append(' '.join([str(classes.index(kind)), *(f'{n:.6f}' for n in numbers)]))
    return ''.join(f'{line}\n' for line in lines)


def write_yolo(root: Path, photos: Photos, segments: bool = False) -> None:
    """As Ultralytics lays it out."""
    for name, stem, boxes in photos.each():
        draw(root / 'images' / 'train', name)
        (root / 'labels' / 'train').mkdir(parents=True, exist_ok=True)
        text = yolo_text(boxes, photos.classes, segments)
        (root / 'labels' / 'train' / f'{stem}.txt').write_text(text)
    listed = ''.join(f'  {n}: {json.dumps(name)}\n' for n, name in enumerate(photos.classes))
    head = 'path: ../datasets/mine\ntrain: images/train\nval: images/train\n'
    (root / 'data.yaml').write_text(f'{head}names:\n{listed}', 'utf-8')


def write_yolo_segments(root: Path, photos: Photos) -> None:
    write_yolo(root, photos, segments=True)


def write_yolo_beside(root: Path, photos: Photos) -> None:
    for name, stem, boxes in photos.each():
        draw(root, name)
        (root / f'{stem}.txt').write_text(yolo_text(boxes, photos.classes))
    (root / 'classes.txt').write_text('\n'.join(photos.classes), 'utf-8')


def write_labelme(root: Path, photos: Photos) -> None:
    for name, stem, boxes in photos.each():
        draw(root, name)
        shapes = [
            dict(label=kind, points=[[x + w, y + h], [x, y]], shape_type='rectangle', group_id=None)
            for kind, x, y, w, h in boxes
        ]
        sides = dict(imageWidth=SIZE[0], imageHeight=SIZE[1])
        content = dict(version='5.5.0', shapes=shapes, imagePath=name, imageData=None, **sides)
        (root / f'{stem}.json').write_text(json.dumps(content))


def write_cvat(root: Path, photos: Photos) -> None:
    images = ''
    for number, (name, _, boxes) in enumerate(photos.each()):
        draw(root / 'images', name)
        shapes = ''.join(
            f'<box label={quoteattr(kind)} xtl="{x}" ytl="{y}" xbr="{x + w}" ybr="{y + h}"/>'
            for kind, x, y, w, h in boxes
        )
        sides = f'width="{SIZE[0]}" height="{SIZE[1]}"'
        images += f'<image id="{number}" name={quoteattr(name)} {sides}>{shapes}</image>'
    labels = ''.join(f'<label><name>{escape(name)}</name></label>' for name in photos.classes)
    meta = f'<version>1.1</version><meta><task><labels>{labels}</labels></task></meta>'
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>{meta}{images}</annotations>'
    (root / 'annotations.xml').write_text(text, 'utf-8')


def write_supervisely(root: Path, photos: Photos) -> None:
    for name, _, boxes in photos.each():
        draw(root / 'ds1' / 'img', name)
        objects = [
            dict(
                classTitle=kind,
                geometryType='rectangle',
                points=dict(exterior=[[x, y], [x + w, y + h]], interior=[]),
            )
            for kind, x, y, w, h in boxes
        ]
        (root / 'ds1' / 'ann').mkdir(exist_ok=True)
        content = dict(size=dict(width=SIZE[0], height=SIZE[1]), objects=objects, tags=[])
        (root / 'ds1' / 'ann' / f'{name}.json').write_text(json.dumps(content))
    classes = [dict(title=name, shape='any') for name in photos.classes]
    (root / 'meta.json').write_text(json.dumps(dict(classes=classes, tags=[])))


def coco_text(photos: Photos, prefix: str = '', first_id: int = 1) -> str:
    images, annotations = [], []
    for number, (name, _, boxes) in enumerate(photos.each()):
        size = dict(width=SIZE[0], height=SIZE[1])
        images.append(dict(id=number, file_name=f'{prefix}{name}', **size))
        for kind, *box in boxes:
            category = first_id + photos.classes.index(kind)
            keys = dict(id=len(annotations) + 1, image_id=number, category_id=category)
            annotations.append(dict(keys, bbox=box, area=box[2] * box[3], iscrowd=0))
    listed = [dict(id=n, name=name) for n, name in enumerate(photos.classes, first_id)]
    return json.dumps(dict(images=images, annotations=annotations, categories=listed))


def write_coco(root: Path, photos: Photos) -> None:
    for name, _, _ in photos.each():
        draw(root / 'pictures', name)
    (root / 'labels.json').write_text(coco_text(photos))


def write_label_studio(root: Path, photos: Photos) -> None:
    for name, _, _ in photos.each():
        draw(root / 'images', f'0a1b2c3d-{name}')
    (root / 'result.json').write_text(coco_text(photos, 'images\\0a1b2c3d-', 0))


WRITERS: dict[str, tuple[str, Callable[[Path, Photos], None]]] = {
    'voc': ('Pascal VOC', write_voc),
    'voc beside': ('Pascal VOC', write_voc_beside),
    'yolo': ('YOLO', write_yolo),
    'yolo segments': ('YOLO', write_yolo_segments),
    'yolo beside': ('YOLO', write_yolo_beside),
    'labelme': ('LabelMe', write_labelme),
    'cvat': ('CVAT for images', write_cvat),
    'supervisely': ('Supervisely', write_supervisely),
    'coco': ('COCO', write_coco),
    'label studio': ('COCO', write_label_studio),
}
"""What reads as which format."""

PETS = Photos(
    {
        'one': [('dog', 2, 3, 20, 10), ('cat', 30, 10, 25.5, 20.25)],
        'two': [('cat', 0, 0, 60, 40)],
        'three': [('dog', 5, 5, 10, 10)],
    },
    ['dog', 'cat'],
)
