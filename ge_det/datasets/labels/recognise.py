"""Which formats the labels of a folder are in, from a bounded sample of its files."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ge_det.datasets.image_files import spread
from ge_det.datasets.labels.cvat import read_cvat
from ge_det.datasets.labels.files import from_bytes, lines_of
from ge_det.datasets.labels.labelme import read_labelme
from ge_det.datasets.labels.pictures import Pictures
from ge_det.datasets.labels.records import Faults, Found
from ge_det.datasets.labels.supervisely import read_supervisely
from ge_det.datasets.labels.tree import Tree
from ge_det.datasets.labels.voc import read_voc
from ge_det.datasets.labels.yolo import is_yolo_line, read_yolo

Reader = Callable[[Tree, Pictures, Faults], Found]

_SAMPLE = 16
_WHOLE_SETS = 40
_XML_ROOT = re.compile(rb'<(annotations?)[\s>]')


@dataclass(frozen=True)
class Candidate:
    """A format that some files are in.

    Args:
        format (str): As the field calls it.
        pictures (int): How many pictures it labels, by the sample.
        reader (callable, optional): What reads it; None for COCO's.
        files (tuple[str]): COCO's files. Defaults to ().
    """

    format: str
    pictures: int
    reader: Reader | None
    files: tuple[str, ...] = ()


def recognise(tree: Tree, pictures: Pictures) -> tuple[list[Candidate], dict[str, str]]:
    """Recognise the formats in a folder.

    Args:
        tree (Tree): The folder.
        pictures (Pictures): Of it.

    Returns:
        tuple: The formats, that which labels most pictures first; and of files that were looked
        at and are in none, what they are.
    """
    others: dict[str, str] = {}
    found = [*_json(tree, pictures, others), *_xml(tree, others), *_text(tree, pictures)]
    return sorted(found, key=lambda each: -each.pictures), others


def json_kind(content: Any) -> str:
    """What a JSON file holds: a format that is read here, or another with its remedy."""
    if isinstance(content, dict):
        if {'images', 'annotations', 'categories'} <= set(content):
            return 'results of a detector, no labels' if _has_scores(content) else 'COCO'
        if isinstance(content.get('shapes'), list):
            return 'LabelMe'
        if isinstance(content.get('objects'), list) and 'size' in content:
            return 'Supervisely'
        if '_via_img_metadata' in content or _is_via(content):
            return "VIA's own project: export its annotations as COCO"
        if 'items' in content and 'categories' in content:
            return "Datumaro's own: export it as COCO"
    if isinstance(content, list) and content and isinstance(content[0], dict):
        keys = set(content[0])
        if 'data' in keys and keys & {'annotations', 'completions', 'predictions'}:
            return "Label Studio's own: export it as COCO"
        if {'image_id', 'bbox', 'score'} <= keys:
            return 'results of a detector, no labels'
        if {'image', 'annotations'} <= keys:
            return 'CreateML: export it as COCO or Pascal VOC'
    return ''


def _has_scores(content: dict[str, Any]) -> bool:
    listed = content['annotations']
    return isinstance(listed, list) and any(
        isinstance(each, dict) and 'score' in each for each in listed[:3]
    )


def _is_via(content: dict[str, Any]) -> bool:
    first = next(iter(content.values()), None)
    return isinstance(first, dict) and {'filename', 'regions'} <= set(first)


def _json(tree: Tree, pictures: Pictures, others: dict[str, str]) -> list[Candidate]:
    names = tree.having('.json')
    single = [name for name in names if pictures.are_labelled_by(name)]
    kinds: dict[str, list[str]] = {}
    sizes = 0
    for name in spread(sorted(set(names) - set(single)), _WHOLE_SETS):
        content = _content(tree, name, others)
        kind = json_kind(content)
        kinds.setdefault(kind, []).append(name)
        if kind == 'COCO' and isinstance(content['images'], list):
            sizes += len(content['images'])
    sample = spread(single, _SAMPLE)
    for name in sample:
        kinds.setdefault(json_kind(_content(tree, name, others)), []).append(name)
    found = []
    if coco := kinds.pop('COCO', []):
        found.append(Candidate('COCO', sizes, None, tuple(sorted(coco))))
    readers: dict[str, Reader] = {'Supervisely': read_supervisely, 'LabelMe': read_labelme}
    for kind, reader in readers.items():
        if files := kinds.pop(kind, []):
            share = len(set(files) & set(sample)) * len(single) // max(len(sample), 1)
            found.append(Candidate(kind, max(share, len(files)), reader))
    others |= {name: kind for kind, files in kinds.items() if kind for name in files}
    return found


def _content(tree: Tree, name: str, others: dict[str, str]) -> Any:
    try:
        return from_bytes(tree.path(name).read_bytes())
    except OSError as error:
        others[name] = f'not to be read: {error.strerror}'
    except ValueError as error:
        others[name] = f'no JSON: {error}'
    return None


def _xml(tree: Tree, others: dict[str, str]) -> list[Candidate]:
    names = tree.having('.xml')
    voc, images = 0, 0
    sample = spread(names, _SAMPLE)
    for name in sample:
        try:
            data = tree.path(name).read_bytes()
        except OSError as error:
            others[name] = f'not to be read: {error.strerror}'
            continue
        root = _XML_ROOT.search(data[:4096])
        if root is None:
            others[name] = 'XML of another kind than Pascal VOC and CVAT'
        elif root[1] == b'annotation':
            voc += 1
        else:
            images += max(data.count(b'<image '), data.count(b'<track '), 1)
    found = []
    if images:
        found.append(Candidate('CVAT', images, read_cvat))
    if voc:
        found.append(Candidate('Pascal VOC', voc * len(names) // len(sample), read_voc))
    return found


def _text(tree: Tree, pictures: Pictures) -> list[Candidate]:
    names = [name for name in tree.having('.txt') if pictures.has_any_named_as(name)]
    sample = spread(names, _SAMPLE)
    good = 0
    for name in sample:
        try:
            lines = lines_of(tree.path(name).read_text('utf-8', 'replace'))
        except OSError:
            continue
        good += not lines or any(is_yolo_line(line) for _, line in lines)
    return [Candidate('YOLO', max(1, good * len(names) // len(sample)), read_yolo)] if good else []
