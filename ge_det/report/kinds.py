"""What AP is lost by: errors by kind, as TIDE (Bolya and others, 2020) tells them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ge_det.report.precision import Precision

KINDS = {
    'class': 'the box fits, the class is wrong',
    'localisation': 'the class is right, the box does not fit well (IoU 0.1 to 0.5)',
    'both': 'a wrong class, and the box does not fit well',
    'duplicate': 'an object that is found already',
    'background': 'nothing that is labelled is there',
    'missed': 'an object without any detection near it',
}
"""What each kind means, in TIDE's order."""


@dataclass(frozen=True)
class Kind:
    """Errors of one kind.

    Attributes:
        name (str): A key of :data:`KINDS`.
        lost (float): AP50, in points, that mending all errors of this kind alone would gain.
        count (int): How many there are, whatever their score.
    """

    name: str
    lost: float
    count: int


def errors_by_kind(precision: Precision) -> list[Kind]:
    """Tell the errors apart by tidecv.

    Args:
        precision (Precision): The truth, and the detections that count.

    Returns:
        list[Kind]: In the order of :data:`KINDS`; none without objects in the val set.
    """
    # Its TIDE would set matplotlib's style and make a folder in the user's home.
    from tidecv.data import Data
    from tidecv.errors import main_errors as errors
    from tidecv.quantify import TIDERun

    types = (errors.ClassError, errors.BoxError, errors.OtherError, errors.DuplicateError,
             errors.BackgroundError, errors.MissedError)  # fmt: skip
    if not precision.objects:
        return []
    truth, found = Data('truth'), Data('found')
    for category in precision.source.category_ids:
        truth.add_class(category, '')
    for picture in precision.source.truth.getImgIds():
        truth.add_image(picture, '')  # Also one without objects.
    for one in precision.objects:
        truth.add_ground_truth(one['image_id'], one['category_id'], one['bbox'])
    for one in precision.counted:  # It would count those in crowds as errors.
        found.add_detection(one['image_id'], one['category_id'], one['score'], one['bbox'])
    with_truth = {one['category_id'] for one in precision.objects}
    run = TIDERun(truth, found, pos_thresh=0.5, bg_thresh=0.1, mode='bbox', max_dets=100)
    now = _mean_precision(run.ap_data, with_truth)
    told = []
    for name, error in zip(KINDS, types, strict=True):
        mended = run.fix_errors(lambda one, error=error: isinstance(one, error))
        lost = max(0.0, _mean_precision(mended, with_truth) - now)
        told.append(Kind(name, lost, len(run.error_dict[error])))
    return told


def _mean_precision(points: Any, classes: set[int]) -> float:
    """AP50 in percent over the classes that have objects, as COCO has it.

    TIDE's own mean takes in classes that are detected without an object of theirs in the set. One
    of which nothing is left, for its missed objects are taken out, has no errors.
    """
    found = [points.objs[one] for one in classes]
    return float(sum(100.0 if one.is_empty() else one.get_ap() for one in found) / len(classes))
