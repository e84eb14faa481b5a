"""The data half of make-config: from a folder of labelled photos to a train and a val set."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ge_det.errors import UserError
from ge_det.files import fit_name

if TYPE_CHECKING:
    from ge_det.datasets.coco_file import CocoFile
    from ge_det.datasets.labels import Labelled
    from ge_det.datasets.problem import Problem

LEAVES_OUT = '; --skip-bad leaves them out'


def config_name(photos: Path) -> str:
    """The name of a config for photos: their folder's letters, of any script, and digits.

    Args:
        photos (Path): The folder, or a file of labels in it.

    Returns:
        str: Such as ``my_photos.py``.
    """
    from ge_det.datasets.labels.place import FOLDERS_OF_LABELS

    folder = photos.resolve()
    if folder.is_file():
        folder = folder.parent
    if folder.name.lower() in FOLDERS_OF_LABELS:
        folder = folder.parent
    return f'{fit_name(folder.name) or "photos"}.py'


def complete_data(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Fill in what of make-config's data follows from the rest; an error of the parser otherwise.

    Args:
        parser (ArgumentParser): That of the command.
        args (Namespace): Its arguments; changed in place.
    """
    names = ('train_json', 'val_json', 'images', 'train_images', 'val_images')
    given = [f'--{name.replace("_", "-")}' for name in names if getattr(args, name) is not None]
    if args.photos is not None:
        if given:
            parser.error(f'PHOTOS holds all data, so leave out {" ".join(given)}, or leave it out')
        if args.out is None:
            args.out = config_name(Path(args.photos))
        return
    if args.skip_bad:
        parser.error('--skip-bad goes with PHOTOS')
    if args.train_json is None or args.val_json is None:
        parser.error(
            'give PHOTOS, a folder of labelled photos, or both --train-json and --val-json'
        )
    args.train_images = args.train_images or args.images
    args.val_images = args.val_images or args.images
    if args.train_images is None or args.val_images is None:
        parser.error('give --images, or both --train-images and --val-images')
    if args.out is None:
        parser.error('give --out, the config to write')


class Sets:
    """A train and a val set out of labelled photos, not written yet.

    Args:
        photos (Path): As the user names them.
        labelled (Labelled): What they hold.
        out (Path): The config, beside which they are to lie.
        force (bool): Whether files that are there may be overwritten.

    Raises:
        UserError: If a file is there, or what would be split has wrong types or ids.
    """

    def __init__(self, photos: Path, labelled: Labelled, out: Path, force: bool) -> None:
        from ge_det.config_writer.text import check_free
        from ge_det.datasets.coco_file import LISTS, coco_of

        is_split, self.decoded = labelled.val is None, labelled.decoded
        self.listing_file = out.with_suffix('.split.txt')
        self.paths = {role: out.with_suffix(f'.{role}.json') for role in ('train', 'val')}
        if not is_split:
            self.paths |= labelled.files
        new = [path for path in self.paths.values() if path not in labelled.files.values()]
        for path in new + [self.listing_file] * is_split:
            check_free(path, force)
        sets = {'train': labelled.train, 'val': labelled.val or {}}
        self.listing = self.summary = ''
        if is_split:
            from ge_det.datasets.problem import printable
            from ge_det.datasets.split import split

            whole = _sound(labelled, photos, out)
            content = whole.others | {key: getattr(whole, key) for key in LISTS}
            parts = split(content, labelled.images, progress=True)
            sets = {'train': parts.train, 'val': parts.val}
            self.listing, self.summary = parts.text(), parts.summary()
            if left := labelled.left_out:
                lines = [f'Left out ({len(left)}):', *(f'    {printable(one)}' for one in left)]
                self.listing += '\n' + '\n'.join(lines) + '\n'
        self.converted = {
            # Until it is written, messages name where it comes from.
            role: coco_of(dict(sets[role]), Path(f'{photos} ({role})'))
            for role, path in self.paths.items()
            if path in new
        }
        if is_split:
            self.converted['train'].mends += whole.mends
            self.converted['val'].is_split_off = True

    def write_listing(self) -> None:
        """Write which photos were put into which set, where that was decided here."""
        if self.listing:
            from ge_det.files import write_whole

            write_whole(self.listing_file, self.listing.encode('utf-8', 'backslashreplace'))
            print(f'split: {self.summary}; {self.listing_file} lists them')


def prepare(args: argparse.Namespace) -> Sets | None:
    """Take the sets from labelled photos, if there are any among the arguments.

    Args:
        args (argparse.Namespace): Of make-config; ``train_json``, ``val_json``, ``train_images``
            and ``val_images`` are set.

    Returns:
        Sets | None: What is to be written if it passes the check; None if the sets were given.

    Raises:
        UserError: If the photos cannot be taken.
    """
    if args.photos is None:
        return None
    from ge_det.datasets.labels import read
    from ge_det.datasets.problem import printable

    labelled = read(Path(args.photos), args.skip_bad, args.check_images)
    for note in labelled.notes:
        print(printable(note))
    for problem in labelled.problems:
        print(problem, file=sys.stderr)
    if not labelled.ok:
        way_on = LEAVES_OUT * labelled.can_be_left_out
        raise UserError(f'{_not_written(args.out, labelled.problems)}{way_on}')
    sets = Sets(Path(args.photos), labelled, Path(args.out), args.force)
    args.train_json, args.val_json = (str(sets.paths[role]) for role in ('train', 'val'))
    args.train_images = args.val_images = str(labelled.images)
    return sets


def _sound(labelled: Labelled, photos: Path, out: Path) -> CocoFile:
    """What is to be split, with types and ids that can be counted with; a UserError otherwise."""
    from ge_det.datasets.coco_file import coco_of
    from ge_det.datasets.coco_ids import id_problems, mend_ids
    from ge_det.datasets.coco_schema import wrong_types

    coco = coco_of(dict(labelled.train), labelled.files.get('train', photos))
    problems = wrong_types(coco) or id_problems(coco)
    errors = [problem for problem in problems if problem.level == 'error']
    for problem in errors:
        print(problem, file=sys.stderr)
    if errors:
        raise _not_written(out, errors)
    mend_ids(coco)
    return coco


def _not_written(out: Path, problems: Sequence[Problem]) -> UserError:
    errors = sum(problem.level == 'error' for problem in problems)
    return UserError(f'{out} is not written, errors: {errors}')
