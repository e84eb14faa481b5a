"""What the readers of the formats give: photos with the things on them, in pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from ge_det.datasets.coco_schema import LARGEST
from ge_det.datasets.problem import Problem, cases

AGAIN = 'mend or export them again'

Polygon = list[float]
"""x1, y1, x2, y2, ... in pixels."""

Points = Sequence[tuple[float, float]]

_SHOWN = 5  # Of what is left out, on the screen.
_CORNERS = 36  # Of the polygon of an ellipse.


@dataclass
class Thing:
    """An object on a photo.

    Args:
        name (str): Of its class.
        box (tuple[float]): x, y, width and height in pixels.
        mask (list | dict, optional): Polygons, or run lengths as COCO has them.
        is_crowd (bool): Neither to learn nor to measure. Defaults to False.
    """

    name: str
    box: tuple[float, float, float, float]
    mask: list[Polygon] | dict[str, Any] | None = None
    is_crowd: bool = False


@dataclass
class Photo:
    """A photo that was labelled, with nothing on it where there are no things.

    Args:
        picture (str): Its path from the root of the folder.
        label (str): The file that labels it, from there too.
        size (tuple[int], optional): Width and height in pixels, as the label says them.
        things (list[Thing]): What is on it. Defaults to [].
        role (str): ``'train'``, ``'val'``, ``'test'``, ``'out'`` where lists of the sets name
            others only, or '' where nothing tells. Defaults to ''.
        named (str): What the label calls the picture, where that was looked for. Defaults to ''.
    """

    picture: str
    label: str
    size: tuple[int, int] | None = None
    things: list[Thing] = field(default_factory=list)
    role: str = ''
    named: str = ''


@dataclass
class Found:
    """What a format's reader found.

    Args:
        format (str): As the field calls it.
        photos (list[Photo]): In the order of their names.
        classes (list[str], optional): In the order of the file that lists them; None without one.
        listed_in (str): That file. Defaults to ''.
        sets_by (str): Which file or folder of lists tells the sets. Defaults to ''.
    """

    format: str
    photos: list[Photo]
    classes: list[str] | None = None
    listed_in: str = ''
    sets_by: str = ''


class Faults:
    """Faults of a kind, gathered from all files for one line.

    Args:
        skip_bad (bool): Whether labels and pictures that cannot be used are to be left out.
            Defaults to False.
        most_decoded (int, optional): Pictures of each set that are decoded for that. Defaults to
            None: all.
    """

    def __init__(self, skip_bad: bool = False, most_decoded: int | None = None) -> None:
        self.skip_bad, self.most_decoded = skip_bad, most_decoded
        self._found: dict[tuple[str, str, str], list[str]] = {}
        self._left_out: set[str] = set()

    def add(self, level: str, what: str, where: str, fix: str) -> None:
        """Remember one case: what it is, where ('' if in the whole folder), and the remedy."""
        self._found.setdefault((level, what, fix), []).append(where)

    def left_out(self, what: str, where: str, fix: str) -> None:
        """Remember a label or picture that nothing is taken of: an error unless asked for."""
        self._left_out.add(what)
        if self.skip_bad:
            what += ', left out'
            self._left_out.add(what)
            self.add('warning', what, where, fix)
        else:
            self.add('error', what, where, fix)

    def take(self, others: Faults) -> None:
        """Remember those, too, that were gathered apart."""
        for case, places in others._found.items():
            self._found.setdefault(case, []).extend(places)
        self._left_out |= others._left_out

    @property
    def can_be_left_out(self) -> bool:
        """Whether no error is of another kind than :meth:`left_out`."""
        return all(what in self._left_out for level, what, _ in self._found if level == 'error')

    @property
    def has_errors(self) -> bool:
        """Whether some of them make what was read worthless."""
        return any(level == 'error' for level, _, _ in self._found)

    def missing(self, named: str, label: str, fitting: int, other: str, foreign: bool) -> None:
        """Remember a label whose picture is not there, or is any of some that are alike.

        Args:
            named (str): What the label calls it; may be ''.
            label (str): The file.
            fitting (int): How many pictures it may be.
            other (str): A picture that is only called the same; '' if none is.
            foreign (bool): Whether it is of a form that training does not read.
        """
        where = f'{named} of {label}' if named else label
        if fitting > 1:
            what, fix = (
                'labels that fit more than one picture',
                'give the pictures names of their own',
            )
        elif foreign:
            what = 'labels of pictures in a form that training does not read'
            fix = 'convert them to JPEG, and their names in the labels'
        else:
            what, fix = 'labels whose picture is not there', 'put it there or remove the label'
            where += f'; {other} is only called the same' if other else ''
        self.left_out(what, where, fix)

    def no_area(self, kind: str, where: str) -> None:
        """Remember a shape such as a line, which is no object to find."""
        fix = 'draw boxes or polygons where objects are to be found'
        self.add('warning', 'shapes without an area, left out', f'{kind} in {where}', fix)

    def malformed(self, label: str, error: ValidationError) -> None:
        """Remember a label file that has not the form of its format."""
        first = error.errors(include_url=False)[0]
        where = '.'.join(map(str, first['loc']))
        self.left_out('label files of another form', f'{label}, {where}: {first["msg"]}', AGAIN)

    def problems(self, path: object) -> Iterator[Problem]:
        """One line a kind, errors first; of what is left out, some are named."""
        for (level, what, fix), places in sorted(self._found.items(), key=lambda item: item[0][0]):
            if places == ['']:
                yield Problem(level, f'{path}: {what}; {fix}')
            else:
                some = _SHOWN if level == 'warning' and what in self._left_out else 1
                yield from cases(level, path, what, places, str, fix, some)

    def all_left_out(self) -> list[str]:
        """What is left out because it cannot be used, a line each."""
        return [
            f'{what.removesuffix(", left out")}: {place}'
            for (level, what, _), places in self._found.items()
            if level == 'warning' and what in self._left_out
            for place in places
        ]


def thing_of_polygons(name: str, polygons: list[Polygon], is_crowd: bool = False) -> Thing:
    """An object whose box is that of its polygons."""
    xs = [x for polygon in polygons for x in polygon[0::2]]
    ys = [y for polygon in polygons for y in polygon[1::2]]
    box = (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
    return Thing(name, box, polygons, is_crowd)


def shape(name: str, kind: str, points: Points, is_crowd: bool = False) -> Thing | None:
    """A box, a polygon, or a circle by its centre and a point of it; None without an area."""
    if kind == 'circle' and len(points) == 2:
        radius = math.dist(*points)
        return thing_of_polygons(name, [ellipse(points[0], radius, radius)], is_crowd)
    outline = [value for point in points for value in point]
    if kind == 'rectangle' and len(points) >= 2:
        return Thing(name, thing_of_polygons(name, [outline]).box, None, is_crowd)
    if kind in ('polygon', 'rotation') and len(points) >= 3:
        return thing_of_polygons(name, [outline], is_crowd)
    return None


def ellipse(centre: tuple[float, float], a: float, b: float) -> Polygon:
    """The outline of an ellipse of these half axes, along x and y."""
    turns = [2 * math.pi * corner / _CORNERS for corner in range(_CORNERS)]
    edge = ((centre[0] + a * math.cos(turn), centre[1] + b * math.sin(turn)) for turn in turns)
    return [value for point in edge for value in point]


def stated_size(width: float, height: float) -> tuple[int, int] | None:
    """The size of a picture as its label says it; None where that can be none, such as 0 x 0."""
    can_be = 1 <= width <= LARGEST and 1 <= height <= LARGEST  # Not of NaN.
    return (int(width), int(height)) if can_be else None
