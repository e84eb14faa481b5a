"""The classes of ContextShapes: which look alike, and which scene tells them apart."""

from __future__ import annotations

from typing import Any

#: What a picture shows; only the cue marks at its border tell.
SCENES: tuple[str, ...] = ('sea', 'land')

#: A shape that has one name at sea and another on land.
CONTEXT_SHAPES: dict[str, dict[str, str]] = {
    'disc': {'sea': 'buoy', 'land': 'ball'},
    'triangle': {'sea': 'sail', 'land': 'tent'},
}

#: Classes that come in pairs of equal looks: only the scene tells which of the two it is.
CONTEXT_CLASSES: tuple[str, ...] = ('buoy', 'ball', 'sail', 'tent')

#: Classes that the shape alone tells.
PLAIN_CLASSES: tuple[str, ...] = ('ring', 'cross', 'diamond')

#: All classes; the category id of a class is its place here plus one.
CLASSES: tuple[str, ...] = CONTEXT_CLASSES + PLAIN_CLASSES


def class_name(shape: str, scene: str) -> str:
    """Name of the class that a shape belongs to in a scene."""
    return CONTEXT_SHAPES.get(shape, {}).get(scene, shape)


def categories() -> list[dict[str, Any]]:
    """The ``categories`` of a COCO file; the supercategory is ``context`` or ``plain``."""
    return [
        {
            'id': number,
            'name': name,
            'supercategory': 'context' if name in CONTEXT_CLASSES else 'plain',
        }
        for number, name in enumerate(CLASSES, start=1)
    ]
