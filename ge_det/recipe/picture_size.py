"""How large pictures have to be for their objects to be seen."""

from __future__ import annotations

from ge_det.config_writer.detectors import DEFAULT_SCALE

from .facts import Photos

_SIZES = (640, 512, 448, 384, 320, 256, 224, 192, 160)
_ENOUGH = 24  # Pixels that all but one object in ten are to have in a small network's pictures.
_MOST = 3  # Times that photos are made larger.
_PLENTY = 32  # The same in a large one's, where mmdet's size is more than it takes.


def small_sizes(photos: Photos) -> list[tuple[int, int]]:
    """Sizes for a CPU, the one that the objects want first, then what is left where time is short.

    Args:
        photos (Photos): The photos; no size is above theirs.
    """
    native = max(photos.shape)
    sizes = [(edge, edge) for edge in _SIZES if edge <= native] or [(_SIZES[-1], _SIZES[-1])]
    enough = [size for size in sizes if photos.small_object(size) >= _ENOUGH]
    wanted = enough[-1] if enough else sizes[0]
    return sizes[sizes.index(wanted) :]


def full_size(photos: Photos) -> tuple[int, int]:
    """mmdet's size for a GPU, or what smaller photos need: their own where objects are large.

    Beyond three times their own, there is nothing more to see in them.

    Args:
        photos (Photos): The photos.
    """
    long, short = photos.shape
    if long * short < DEFAULT_SCALE[0] * DEFAULT_SCALE[1] / 2 and long <= DEFAULT_SCALE[0]:
        own = _padded(long, short)
        if photos.small_object(own) >= _PLENTY:
            return own
    if _MOST * long < DEFAULT_SCALE[0] and _MOST * short < DEFAULT_SCALE[1]:
        return _padded(_MOST * long, _MOST * short)
    return DEFAULT_SCALE


def _padded(long: int, short: int) -> tuple[int, int]:
    """Edges as they are padded for the network."""
    return 32 * -(-long // 32), 32 * -(-short // 32)
