"""Run the pictures through the network, and look at every gate as they pass."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from ge_det.cli.inspecting.pictures import Photo, Photos
from ge_det.detecting.picture_files import UnreadablePicture
from ge_det.errors import UserError, one_line, shown
from ge_det.inspect.excitation import Excitation
from ge_det.inspect.maps import GateMaps
from ge_det.inspect.networks import Network, Prepared
from ge_det.inspect.recording import record_gates
from ge_det.inspect.statistics import GateStatistics
from ge_det.words import counted

SHOWN_SIDE = 480
"""Pixels of the longer side of a picture that is kept for the page."""


class Shown(NamedTuple):
    """A picture on the page.

    Attributes:
        photo (Photo): It.
        image (np.ndarray): As the network sees it, smaller, RGB.
        area (tuple[float, float]): Shares of the network's input that are no padding.
    """

    photo: Photo
    image: np.ndarray
    area: tuple[float, float]


class Looked(NamedTuple):
    """What was seen.

    Attributes:
        statistics (GateStatistics): Of all pictures.
        excitation (Excitation): By their classes.
        maps (GateMaps): Of the first ones.
        shown (list[Shown]): These.
        done (list[Photo]): All that could be read.
        skipped (list[tuple[Photo, str]]): Those that could not, and why.
    """

    statistics: GateStatistics
    excitation: Excitation
    maps: GateMaps
    shown: list[Shown]
    done: list[Photo]
    skipped: list[tuple[Photo, str]]


def look(network: Network, photos: Photos, most_shown: int) -> Looked:
    """Send every picture through once; memory does not grow with them.

    Args:
        network (Network): With gates.
        photos (Photos): The pictures.
        most_shown (int): How many of them are kept for the page.

    Raises:
        UserError: If none can be read, or the network fails on one.
    """
    seen = Looked(
        GateStatistics(network.model), Excitation(photos.classes), GateMaps(most_shown), [], [], []
    )

    def watch(name: str, x: Tensor, coarse: Tensor) -> None:
        seen.statistics.watch(name, x, coarse)
        seen.excitation.watch(name, x, coarse)
        seen.maps.watch(name, x, coarse)

    with record_gates(network.model, watch):
        for photo, prepared in readable(network, photos.photos, 'inspect', seen.skipped):
            seen.excitation.expect([photo.labels])
            try:
                result = network.run(prepared)
            except (RuntimeError, ValueError) as error:
                raise UserError(
                    f'{shown(photo.path)}: the network fails on it ({one_line(error)})'
                ) from error
            if len(seen.shown) < most_shown:
                seen.shown.append(Shown(photo, _smaller(prepared.image), result.area))
            seen.done.append(photo)
    if not seen.done:
        photo, reason = seen.skipped[0]
        raise UserError(
            f'{shown(photo.path)}: no picture that can be read ({reason}); '
            'give at least one that can'
        )
    for photo, reason in seen.skipped[:10]:
        print(f'skipped {shown(photo.path)}: {reason}', file=sys.stderr)
    if (more := len(seen.skipped) - 10) > 0:
        print(f'skipped {counted(more, "other")}', file=sys.stderr)
    return seen


def readable(
    network: Network,
    photos: list[Photo],
    what: str,
    skipped: list[tuple[Photo, str]] | None = None,
) -> Iterator[tuple[Photo, Prepared]]:
    """Pictures as the network takes them, with a bar that tells the time left.

    Args:
        network (Network): It.
        photos (list[Photo]): Any number.
        what (str): Of the bar.
        skipped (list, optional): Gets those that cannot be read. Defaults to None: they are left
            out, as was told before.
    """
    for photo in tqdm(photos, desc=what, unit='image', disable=None):
        try:
            prepared = network.read(photo.path)
        except UnreadablePicture as error:
            if skipped is not None:
                skipped.append((photo, str(error)))
            continue
        yield photo, prepared


def _smaller(image: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(image)
    picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    return np.asarray(picture)
