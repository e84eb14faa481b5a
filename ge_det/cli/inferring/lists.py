"""What `ge-det infer` has found, in two files: JSON as of COCO, and CSV.

Until the end it is in a third one, a line for each picture that is done, which a run that was
stopped leaves for ``--resume``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ge_det.errors import UserError, shown, without_secrets
from ge_det.files import expanded, read_json, to_json, write_whole

if TYPE_CHECKING:
    import supervision as sv

    from ge_det.cli.inferring.targets import Job

Record = dict[str, Any]
_MAKER = 'detections of ge-det infer'
_COLUMNS = ('path', 'width', 'height', 'class', 'score', 'x', 'y', 'w', 'h', 'frame', 'time')


@dataclass(frozen=True)
class Earlier:
    """What earlier runs have done in a folder.

    Args:
        records (list[dict]): One for each picture.
        categories (list[dict] | None): Their classes, if anything is listed.
    """

    records: list[Record]
    categories: list[Record] | None = None


def about(checkpoint: str, threshold: float) -> Record:
    """What a list says of itself.

    Args:
        checkpoint (str): Path or URL of the detector's weights.
        threshold (float): Limit of the scores.
    """
    where = str(expanded(checkpoint).resolve())
    where = without_secrets(checkpoint) if '://' in checkpoint else where
    return dict(description=_MAKER, checkpoint=where, score_thr=threshold)


class Lists:
    """The lists of one run in a folder.

    Args:
        out (Path): The folder.
        names (Sequence[str]): Of the classes.
        info (dict): Of :func:`about`.
        earlier (Earlier): What earlier runs have done, which is listed, too.

    Raises:
        UserError: If that is of other classes.
    """

    def __init__(self, out: Path, names: Sequence[str], info: Record, earlier: Earlier) -> None:
        self.out = out
        categories = [dict(id=index + 1, name=name) for index, name in enumerate(names)]
        self._head: Record = dict(info=info, categories=categories)
        if earlier.categories not in (None, categories):
            raise UserError(f'{shown(out)}: its list has other classes; --overwrite begins anew')
        self._records = {record['drawn']: record for record in earlier.records}
        self._is_begun = False

    @property
    def is_empty(self) -> bool:
        """Whether neither this run nor an earlier one has done anything."""
        return not self._records

    @staticmethod
    def files(out: Path) -> tuple[Path, Path, Path]:
        """The files in a folder: JSON, CSV, and that of a run that is not at its end."""
        return out / 'detections.json', out / 'detections.csv', out / 'detections.part.jsonl'

    def add(self, record: Record) -> None:
        """Take what was found in one picture or video.

        Args:
            record (dict): ``drawn``, its drawing from the folder on, and ``images``, each as of
                :func:`image_record`.
        """
        self._records[record['drawn']] = record
        part = self.files(self.out)[2]
        if self._is_begun:
            with part.open('ab') as file:
                file.write(to_json(record) + b'\n')
        else:  # Not before there is something to keep.
            lines = [self._head, *self._records.values()]
            write_whole(part, b''.join(to_json(line) + b'\n' for line in lines))
        self._is_begun = True

    def finish(self) -> None:
        """Write JSON and CSV."""
        listed, table, part = self.files(self.out)
        content: Record = {**self._head, 'images': [], 'annotations': []}
        rows = io.StringIO(newline='')
        writer = csv.writer(rows)
        writer.writerow(_COLUMNS)
        names = {one['id']: one['name'] for one in self._head['categories']}
        for drawn, record in sorted(self._records.items()):
            for image in record['images']:
                number = len(content['images']) + 1
                fields = {key: value for key, value in image.items() if key != 'found'}
                content['images'].append({'id': number, **fields, 'drawn': drawn})
                for one in image['found']:
                    identity = dict(id=len(content['annotations']) + 1, image_id=number)
                    content['annotations'].append({**identity, **one})
                    # A list of an earlier version has no path.
                    path = image.get('path', image['file_name'])
                    width, height = image['width'], image['height']
                    end = (image.get('frame', ''), image.get('time', ''))
                    name = names.get(one['category_id'], one['category_id'])
                    what = (name, one['score'], *one['bbox'])
                    writer.writerow((path, width, height, *what, *end))
        write_whole(listed, to_json(content))
        write_whole(table, rows.getvalue().encode('utf-8', 'backslashreplace'))
        part.unlink(missing_ok=True)


def image_record(job: Job, size: tuple[int, int], found: sv.Detections, **more: Any) -> Record:
    """A picture and what was found in it.

    Args:
        job (Job): The file, and what it is called.
        size (tuple): Height and width.
        found (sv.Detections): In its pixels.
        **more (Any): Further fields.
    """
    height, width = size
    image = dict(file_name=job.name, path=str(job.source), width=width, height=height, **more)
    return {**image, 'found': [_annotation(found, index) for index in range(len(found))]}


def _annotation(found: sv.Detections, index: int) -> Record:
    assert found.class_id is not None and found.confidence is not None
    x1, y1, x2, y2 = (round(float(value), 2) for value in found.xyxy[index])
    box = [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
    record: Record = dict(category_id=int(found.class_id[index]) + 1, bbox=box)
    record |= dict(area=round(box[2] * box[3], 2), iscrowd=0)
    record['score'] = round(float(found.confidence[index]), 5)
    if found.mask is not None:
        import numpy as np
        from pycocotools import mask

        encoded = mask.encode(np.asfortranarray(found.mask[index], dtype=np.uint8))
        record['area'] = int(mask.area(encoded))
        record['segmentation'] = {**encoded, 'counts': encoded['counts'].decode('ascii')}
    return record


def read_earlier(out: Path, info: Record) -> Earlier:
    """Read what earlier runs have done in a folder.

    Args:
        out (Path): The folder.
        info (dict): Of :func:`about`, for this run.

    Raises:
        UserError: If the list is not one of ``ge-det infer``, or one of another detector or limit.
    """
    listed, _, part = Lists.files(out)
    records: dict[str, Record] = {}
    categories = None
    if listed.is_file():
        content = read_json(listed) or {}
        categories = _categories(content, info, listed)
        images = {}
        for image in content['images']:
            drawn = image.pop('drawn')
            images[image.pop('id')] = image
            image['found'] = []
            records.setdefault(drawn, dict(drawn=drawn, images=[]))['images'].append(image)
        for one in content['annotations']:
            one.pop('id')
            images[one.pop('image_id')]['found'].append(one)
    if part.is_file() and (lines := _lines(part)):
        categories = _categories(lines[0], info, part)
        records |= {record['drawn']: record for record in lines[1:]}
    return Earlier(list(records.values()), categories)


def _lines(part: Path) -> list[Record]:
    lines = []
    for line in part.read_bytes().splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:  # The process ended as it wrote it.
            break
    return lines


def _categories(content: Record, info: Record, file: Path) -> list[Record]:
    theirs = content.get('info')
    if not isinstance(theirs, dict) or theirs.get('description') != _MAKER:
        raise UserError(f'{shown(file)} is not a list of ge-det infer; choose another --out')
    if theirs != info:
        raise UserError(
            f'{shown(file)} was made with {theirs.get("checkpoint")} and --score-thr '
            f'{theirs.get("score_thr")}; --resume goes on with the same, --overwrite begins anew'
        )
    categories: list[Record] = content['categories']
    return categories
