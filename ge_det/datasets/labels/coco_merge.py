"""One COCO file out of several, as of the tasks of a label tool."""

from __future__ import annotations

from collections.abc import Sequence

from ge_det.datasets.coco_file import CocoFile, Record
from ge_det.datasets.coco_ids import as_read, id_problems, normal_form
from ge_det.datasets.coco_schema import wrong_types
from ge_det.errors import UserError


def merged(files: Sequence[CocoFile]) -> CocoFile:
    """All pictures and objects of files; classes are those of one name.

    Args:
        files (Sequence[CocoFile]): At least one. A single one stays as it is.

    Returns:
        CocoFile: With ids of its own if there are several.

    Raises:
        UserError: If one of several has wrong types or ids.
    """
    if len(files) == 1:
        return files[0]
    classes: dict[str, Record] = {}
    images: list[Record] = []
    annotations: list[Record] = []
    for coco in files:
        for problem in wrong_types(coco) or id_problems(coco):
            if problem.level == 'error':
                raise UserError(problem.text)
        new_images = {}
        for image in coco.images:
            new_images[as_read(image['id'])] = len(images) + 1
            images.append(image | {'id': len(images) + 1})
        new_classes = {}
        for category in coco.categories:
            kept = classes.setdefault(
                normal_form(category['name']), category | {'id': len(classes) + 1}
            )
            new_classes[as_read(category['id'])] = kept['id']
        for annotation in coco.annotations:
            changes = {
                'id': len(annotations) + 1,
                'image_id': new_images[as_read(annotation['image_id'])],
                'category_id': new_classes[as_read(annotation['category_id'])],
            }
            annotations.append(annotation | changes)
    return CocoFile(files[0].path, images, annotations, list(classes.values()))
