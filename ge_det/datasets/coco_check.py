"""Check a train and a val set in COCO format before any training starts, one line a problem.

What passes trains, and perfect detections score 1.0 on it. The types of all fields come first, then
what can be mended without doubt, then what the file says, then its pictures.

Example:
    >>> report = check_coco('train.json', 'val.json', 'images', 'images')
    >>> for problem in report.problems:
    ...     print(problem)
    >>> print(report.summary())
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ge_det.datasets.class_use import class_problems
from ge_det.datasets.coco_content import check_content
from ge_det.datasets.coco_file import CocoFile, PathType, read_coco
from ge_det.datasets.coco_ids import align_categories, id_problems, mend_ids, normal_form
from ge_det.datasets.coco_kept import count_problems, trained_on
from ge_det.datasets.coco_masks import mask_problems
from ge_det.datasets.coco_mend import mend_fields
from ge_det.datasets.coco_pictures import find_pictures, picture_problems
from ge_det.datasets.coco_schema import wrong_types
from ge_det.datasets.image_files import spread
from ge_det.datasets.picture_decoding import Decoded
from ge_det.datasets.problem import Problem, cases, clipped, printable, shortened
from ge_det.datasets.same_pictures import same_pictures
from ge_det.errors import UserError
from ge_det.words import counted

__all__ = ['MOST_OPENED', 'CocoReport', 'Problem', 'check_coco', 'read_coco']

MOST_OPENED = 5000
"""Pictures of each set that are decoded, unless another number is asked for."""

_SEEN = 'results on images seen in training say nothing: move them to one side'


@dataclass
class CocoReport:
    """What :func:`check_coco` found.

    Args:
        problems (list[Problem]): Errors, warnings and what was mended, in the order of the checks.
        train (CocoFile, optional): The train file, None if it cannot be read.
        val (CocoFile, optional): The val file, None if it cannot be read.
        opened (int): How many image files were decoded. Defaults to 0.
    """

    problems: list[Problem] = field(default_factory=list)
    train: CocoFile | None = None
    val: CocoFile | None = None
    opened: int = 0

    @property
    def errors(self) -> list[Problem]:
        """The problems with which training would fail or learn the wrong thing."""
        return [problem for problem in self.problems if problem.level == 'error']

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings are allowed.

        A file with ``mends`` is good only as ``coco_file.write_copy`` writes it.
        """
        return not self.errors

    @property
    def can_be_left_out(self) -> bool:
        """Whether all errors are of pictures that training can do without."""
        return all(problem.can_be_left_out for problem in self.errors)

    def summary(self) -> str:
        """What was checked: images, and boxes of each class in both files."""
        if self.train is None or self.val is None or not self.ok:
            return f'errors: {len(self.errors)}'
        train, val = self.train.boxes_per_class(), self.val.boxes_per_class()
        kept = trained_on(self.train)
        names = {name: clipped(printable(name), 40) for name in self.train.classes}
        rows = [(names[n], train[n], kept[n], val[n]) for n in self.train.classes]
        rows.append(('boxes', sum(train.values()), sum(kept.values()), sum(val.values())))
        images = len(self.train.images), self.train.images_with_boxes(), len(self.val.images)
        rows.append(('images', *images))
        width = max(len(row[0]) for row in rows)
        lines = [f'{"":{width}}  {"train":>8}{"learned":>9}{"val":>8}']
        lines += [f'{name:{width}}  {a:8}{b:9}{c:8}' for name, a, b, c in rows]
        count = images[0] + images[2]
        which = 'all' if self.opened == count else f'{self.opened}, evenly spread,'
        pictures = counted(count, 'picture')
        lines.append(f'of {pictures}, all are there, and {which} were decoded as in training')
        return '\n'.join(lines)


def check_coco(
    train_json: PathType | CocoFile,
    val_json: PathType | CocoFile,
    train_images: PathType,
    val_images: PathType,
    with_masks: bool = False,
    max_opened: int = MOST_OPENED,
    progress: bool = False,
    decoded: Mapping[Path, Decoded] | None = None,
) -> CocoReport:
    """Check a train and a val set in COCO format.

    Args:
        train_json (str | PathLike | CocoFile): Annotations of the train set; mended in place if
            they are no file yet.
        val_json (str | PathLike | CocoFile): Annotations of the val set, the same.
        train_images (str | PathLike): Folder that the train file names are relative to.
        val_images (str | PathLike): Folder that the val file names are relative to.
        with_masks (bool): Whether masks are needed as well. Defaults to False.
        max_opened (int): Pictures of each set that are decoded, evenly spread; the others are
            only looked up in their folder. Defaults to 5000.
        progress (bool): Whether a bar tells how far the pictures are. Defaults to False.
        decoded (Mapping, optional): Pictures that were decoded before. Defaults to None.

    Returns:
        CocoReport: All problems, and the two files as mended.
    """
    report = CocoReport()
    sound = []
    for role, path, images in (('train', train_json, train_images), ('val', val_json, val_images)):
        try:
            coco = path if isinstance(path, CocoFile) else read_coco(path)
        except UserError as error:
            report.problems.append(Problem('error', str(error)))
            continue
        setattr(report, role, coco)
        lacking = wrong_types(coco)
        report.problems += lacking
        if not lacking:
            sound.append((coco, Path(images)))
            report.problems += _check_file(coco, role == 'val', with_masks)
            missing = find_pictures(coco, Path(images))
            report.problems += missing
            if not missing:
                sample = spread(coco.images, max_opened)
                report.problems += picture_problems(coco, Path(images), sample, progress, decoded)
                report.opened += len(sample)
    if len(sound) == 2:
        (train, _), (val, _) = sound
        if report.ok:
            align_categories(train, val)
        report.problems += _other_classes(train, val)
        report.problems += _in_both(*sound[0], *sound[1], by_content=report.ok)
        if report.ok:
            report.problems += class_problems(train, val)
    for coco, _ in sound:
        report.problems += coco.mends
    return report


def _check_file(coco: CocoFile, for_evaluation: bool, with_masks: bool) -> list[Problem]:
    problems = id_problems(coco)
    if not _has_error(problems):
        mend_ids(coco)
    mend_fields(coco, with_masks)
    problems += check_content(coco, for_evaluation)
    if with_masks:
        problems += mask_problems(coco, for_evaluation)
    if not _has_error(problems):
        problems += count_problems(coco, for_evaluation)
    return problems


def _has_error(problems: list[Problem]) -> bool:
    return any(problem.level == 'error' for problem in problems)


def _other_classes(train: CocoFile, val: CocoFile) -> Iterator[Problem]:
    names, val_names = ([normal_form(name) for name in coco.classes] for coco in (train, val))
    lacking = [
        f'only in {role}: {_listed([name for name in own if name not in other])}'
        for role, own, other in (('train', names, val_names), ('val', val_names, names))
        if not set(own) <= set(other)
    ]
    if lacking:
        fix = 'give both sets the same classes'
        both = f'{train.path} and {val.path}'
        yield Problem('error', f'{both}: classes disagree, {"; ".join(lacking)}; {fix}')


def _in_both(
    train: CocoFile, train_folder: Path, val: CocoFile, val_folder: Path, by_content: bool
) -> Iterator[Problem]:
    both = f'{train.path} and {val.path}'
    ones, others = _file_paths(train, train_folder), _file_paths(val, val_folder)
    yield from cases('warning', both, 'images in both', sorted(ones & others), str, _SEEN)
    if by_content:
        found = same_pictures(ones - others, others - ones)
        what = 'images in both under different names'
        yield from cases('warning', both, what, found, ' is '.join, _SEEN)


def _listed(names: list[str]) -> str:
    more = f' and {len(names) - 5} more' if len(names) > 5 else ''
    return ', '.join(map(shortened, names[:5])) + more


def _file_paths(coco: CocoFile, folder: Path) -> set[str]:
    root = os.path.realpath(folder)
    return {os.path.normpath(os.path.join(root, image['file_name'])) for image in coco.images}
