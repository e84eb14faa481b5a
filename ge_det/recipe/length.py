"""As many epochs as a time allows, on pictures of a size for which that is enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ge_det.config_writer.options import UserConfig

from .measure import Pace

_START = 30.0  # Seconds until the first iteration, and for the report at the end.
_SAVING = 0.5  # Seconds an epoch.
_PICTURES = 2000  # To be shown at least, else they are made smaller.
_MOST_EPOCHS = 120  # More bring little, even from random weights.
_MEASURING = 0.15  # Share of an epoch that measuring may take.


@dataclass(frozen=True)
class Length:
    """A training that fits a time.

    Args:
        options (UserConfig): With ``epochs``, ``val_interval``, ``scale`` and ``minutes`` set.
        pace (Pace): As it was measured.
        fair (float): Minutes in which enough pictures are shown, as large as their objects want.
        is_shrunk (bool): Whether the pictures are smaller than their objects want.
        is_short (bool): Whether the time is too short to learn much.
        is_done_sooner (bool): Whether it takes less time than there is.
        is_over (bool): Whether a single epoch takes more.
    """

    options: UserConfig
    pace: Pace
    fair: float
    is_shrunk: bool
    is_short: bool
    is_done_sooner: bool
    is_over: bool


def fit_length(
    options: UserConfig,
    sizes: Sequence[tuple[int, int]],
    minutes: float,
    num_val: int,
    pace: Callable[[UserConfig], Pace],
    fitted: Callable[[UserConfig], UserConfig],
) -> Length:
    """Fit epochs, and if need be the size of pictures, to a time.

    Args:
        options (UserConfig): Everything else.
        sizes (Sequence[tuple[int, int]]): Sizes of pictures, the largest first.
        minutes (float): The time.
        num_val (int): Pictures to measure on.
        pace (Callable[[UserConfig], Pace]): Measures a config.
        fitted (Callable[[UserConfig], UserConfig]): What follows from the size, such as anchors.
    """
    options = fitted(replace(options, scale=sizes[0]))
    found = pace(options)
    fair = _fair(options, num_val, found)
    chosen = next(
        (size for size in sizes if _least(options, _guess(found, sizes[0], size)) <= minutes),
        sizes[-1],
    )
    if chosen != sizes[0]:
        options = fitted(replace(options, scale=chosen))
        found = pace(options)
    epoch, measuring = _parts(options, num_val, found)
    interval = max(1, math.ceil(measuring / (_MEASURING * epoch)))
    wanted = int((60 * minutes - _START - measuring) / (epoch + measuring / interval))
    epochs = max(1, min(_MOST_EPOCHS, wanted))
    options = replace(options, epochs=epochs, val_interval=min(interval, epochs))
    return Length(
        promised(options, num_val, found),
        found,
        fair,
        is_shrunk=chosen != sizes[0],
        is_short=wanted <= epochs and epochs * options.num_images < _PICTURES / 2,
        is_done_sooner=wanted > epochs,
        is_over=wanted < epochs,
    )


def promised(options: UserConfig, num_val: int, pace: Pace) -> UserConfig:
    """The same with the minutes it takes at a pace.

    Args:
        options (UserConfig): A config.
        num_val (int): Pictures to measure on.
        pace (Pace): As it was measured.
    """
    epoch, measuring = _parts(options, num_val, pace)
    times = math.ceil(options.epochs / options.val_interval) + 1  # The last is for the report.
    return replace(options, minutes=(_START + options.epochs * epoch + times * measuring) / 60)


def _parts(options: UserConfig, num_val: int, pace: Pace) -> tuple[float, float]:
    """Seconds of an epoch, and of measuring once."""
    epoch = options.iterations_per_epoch * pace.iteration + _SAVING
    return epoch, num_val * pace.val_picture


def _least(options: UserConfig, pace: Pace) -> float:
    """Minutes in which the pictures are shown often enough."""
    needed = min(_PICTURES, _MOST_EPOCHS * options.num_images)
    # Of 60 seconds, some are for measuring.
    return needed / options.batch_size * pace.iteration / 50


def _fair(options: UserConfig, num_val: int, pace: Pace) -> float:
    epochs = min(_MOST_EPOCHS, math.ceil(_PICTURES / options.num_images))
    whole = promised(replace(options, epochs=epochs, val_interval=1), num_val, pace)
    return max(whole.minutes or 0.0, _least(options, pace))


def _guess(pace: Pace, size: tuple[int, int], other: tuple[int, int]) -> Pace:
    """The pace with pictures of another size: a third of the work stays."""
    factor = 1 / 3 + 2 / 3 * (max(other) / max(size)) ** 2
    return Pace(pace.iteration * factor, pace.val_picture * factor)
