"""Leave out photos that training cannot load: their header may be whole, their pixels not."""

from __future__ import annotations

import os

from ge_det.datasets.image_files import spread
from ge_det.datasets.labels.labelled import Coco, Labelled
from ge_det.datasets.labels.records import Faults
from ge_det.datasets.picture_decoding import decode_all


def leave_out_unloadable(labelled: Labelled, faults: Faults) -> None:
    """Take photos that do not load, and what is marked on them, out of both sets, if asked for.

    Args:
        labelled (Labelled): The sets; changed in place. One that is a file as it is will have to
            be written anew.
        faults (Faults): Where what is left out is gathered.
    """
    if not faults.skip_bad or faults.has_errors:
        return
    for role, coco in (('train', labelled.train), ('val', labelled.val)):
        if coco and _leave_out(coco, labelled, faults):
            labelled.files.pop(role, None)


def _leave_out(coco: Coco, labelled: Labelled, faults: Faults) -> bool:
    # The check of the types tells of names that are none, that of the pictures of missing files.
    given = (image.get('file_name') for image in coco['images'])
    names = list(dict.fromkeys(name for name in given if isinstance(name, str)))
    names = [name for name in names if os.path.isfile(labelled.images / name)]
    if faults.most_decoded is not None:
        names = spread(names, faults.most_decoded)
    paths = [labelled.images / name for name in names]
    looks = decode_all(paths, 'photos', True, labelled.decoded)
    labelled.decoded |= zip(paths, looks, strict=True)
    broken = {name: look.fault for name, look in zip(names, looks, strict=True) if look.fault}
    for name, fault in broken.items():
        fix = 'replace them, or write them as PNG or JPEG of 8 bits'
        faults.left_out('pictures that do not load in training', f'{name} ({fault})', fix)
    kept = [image for image in coco['images'] if str(image.get('file_name')) not in broken]
    gone = {repr(i.get('id')) for i in coco['images']} - {repr(i.get('id')) for i in kept}
    coco['images'] = kept
    coco['annotations'] = [a for a in coco['annotations'] if repr(a.get('image_id')) not in gone]
    return bool(broken)
