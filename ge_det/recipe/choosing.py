"""From photos and a machine to a config, each choice with its reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ge_det.config_writer.detectors import DEFAULT_SCALE, Anchors
from ge_det.config_writer.options import UserConfig
from ge_det.datasets.coco_kept import DETECTIONS
from ge_det.times import flag_of_minutes, round_up
from ge_det.words import counted

from .anchors import default_anchors, fit_anchors
from .facts import Machine, Photos
from .length import Length, fit_length, promised
from .measure import Pace
from .picture_size import full_size, small_sizes
from .reasons import choices
from .start import choose_start
from .told import Choice

DEFAULT_MINUTES = 30.0
"""A training on a CPU, unless another time is asked for."""
AUTO_ATTENTION = 'sge'
"""No block is known to be clearly ahead; this one adds next to no parameters."""

_MOST_DETECTIONS = 1000  # Proposals of mmdet's detectors.
_PER_PICTURE = 2.0  # GB that a ResNet-50 detector takes in training for a picture of 1333x800.
_BY_DEPTH = {18: 0.6, 34: 0.8, 50: 1.0, 101: 1.4, 152: 1.9}  # The same of others, next to it.


@dataclass(frozen=True)
class Recipe:
    """A config and why it is as it is.

    Args:
        options (UserConfig): What to write.
        choices (list[Choice]): Its choices in the order to tell them.
        advice (str): What to do better, if the time is too short. Defaults to ''.
    """

    options: UserConfig
    choices: list[Choice]
    advice: str = ''


def choose(
    photos: Photos,
    data: Mapping[str, str],
    asked: Mapping[str, Any],
    machine: Machine,
    pace: Callable[[UserConfig], Pace] | None,
) -> Recipe:
    """Choose what was not asked for.

    Args:
        photos (Photos): The sets, checked.
        data (Mapping[str, str]): ``train_json``, ``val_json``, ``train_images``, ``val_images``.
        asked (Mapping[str, Any]): Arguments of :class:`UserConfig` that the user gave; beside them
            ``minutes``, the time to train for, ``anchor_scales`` and ``anchor_ratios``.
        machine (Machine): What it is trained on.
        pace (Callable[[UserConfig], Pace], optional): Measures a config. Without it, no time is
            kept or promised; nor for a full-sized network, unless asked for, where no GPU is.

    Returns:
        Recipe: The config and the reasons.

    Raises:
        UserError: If what was asked for is not allowed, or weights to start from are not there.
    """
    given = dict(asked)
    minutes = given.pop('minutes', None)
    is_asked = {name for name in given if given[name] != 'auto'}
    own_anchors = given.pop('anchor_scales', None), given.pop('anchor_ratios', None)
    attention = given.pop('attention', 'auto')
    given.setdefault('epochs', 1)  # Until they are chosen.
    given.setdefault('small', not machine.gpu)
    fixed: dict[str, Any] = dict(data) | dict(
        classes=photos.classes,
        num_images=photos.num_images,
        has_ignored=photos.has_ignored,
        detections=min(_MOST_DETECTIONS, max(DETECTIONS, 2 * photos.most_objects)),
    )
    UserConfig(**fixed, **{**given, 'pretrained': 'none'})  # Is it allowed?
    start = choose_start(given, AUTO_ATTENTION if attention == 'auto' else attention)
    options = UserConfig(
        **fixed,
        **{'workers': max(1, min(4, machine.cores // 2)), **given, **start.arguments},
    )

    def fitted(options: UserConfig) -> UserConfig:
        """With what follows from the size of the pictures."""
        batch = given.get('batch_size') or _batch(options, machine)
        return replace(options, batch_size=batch, anchors=_anchors(options, photos, *own_anchors))

    sizes: Sequence[tuple[int, int]] = [options.scale]
    if 'scale' not in given:
        sizes = small_sizes(photos) if options.small else [full_size(photos)]
    length: Length | None = None
    found: Pace | None = None
    if pace and 'epochs' not in asked and (options.small or minutes):
        minutes = minutes or DEFAULT_MINUTES
        length = fit_length(options, sizes, minutes, photos.num_val, pace, fitted)
        options, found = length.options, length.pace
    else:
        options = fitted(replace(options, scale=sizes[0]))
        if 'epochs' not in asked:
            options = replace(options, epochs=_epochs(options))
        if pace and (options.small or machine.gpu):
            found = pace(options)
            options = promised(options, photos.num_val, found)
    if found and found.only_alone:
        options = replace(options, workers=0)
    told = choices(options, photos, machine, is_asked, start, length, found)
    return Recipe(options, told, _advice(length, photos, minutes))


def _advice(length: Length | None, photos: Photos, minutes: float | None) -> str:
    """The time that would do, if the one there is is far too short."""
    if minutes is None or length is None or not (length.is_short or length.is_over):
        return ''
    given, fair = flag_of_minutes(minutes), flag_of_minutes(round_up(length.fair))
    many = counted(photos.num_images, 'photo')
    return f'{given} is little for {many}; for a fair detector: --time {fair}'


def _anchors(
    options: UserConfig,
    photos: Photos,
    scales: Sequence[float] | None,
    ratios: Sequence[float] | None,
) -> Anchors | None:
    """mmdet's (None) if they cover the boxes, or others that do; what was asked for is kept."""
    fit = fit_anchors(photos.scaled(options.scale), options.detector, scales, ratios)
    is_own = bool(scales or ratios) or fit != default_anchors(options.detector)
    return fit if is_own else None


def _batch(options: UserConfig, machine: Machine) -> int:
    """Pictures an iteration: what memory holds, and an epoch of some iterations."""
    if options.small:
        most = 4 if machine.memory > 6 else 2
    else:
        area = options.scale[0] * options.scale[1] / (DEFAULT_SCALE[0] * DEFAULT_SCALE[1])
        each = _PER_PICTURE * _BY_DEPTH[options.depth] * area
        memory = machine.gpu_memory if machine.gpu else 8.0
        most = min(8, int((0.9 * memory - 1.5) / each))
    most = min(most, options.num_images // 20)
    return 2 ** int(math.log2(most)) if most > 1 else 1


def _epochs(options: UserConfig) -> int:
    """So many that 12,000 pictures are shown, within mmdet's 1x and four times that."""
    epochs = min(48, max(12, math.ceil(12_000 / options.num_images)))
    return epochs if options.checkpoint else 3 * epochs
