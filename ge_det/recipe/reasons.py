"""Why a recipe is as it is, a clause a choice."""

from __future__ import annotations

from collections.abc import Collection

from ge_det.config_writer.detectors import DEFAULT_SCALE, RATIOS
from ge_det.config_writer.options import UserConfig
from ge_det.times import flag_of_minutes
from ge_det.words import counted

from .anchors import covered, default_anchors
from .facts import Machine, Photos
from .length import Length
from .measure import Pace
from .start import Start
from .told import Choice

KNOWN = (
    'no block is clearly ahead in our small experiments; papers: +0.8 to +2.4 box AP on COCO; '
    'sge adds 2,048 parameters to a ResNet-50'
)
"""Of the blocks, in one line; docs/evidence has the figures."""


def choices(
    options: UserConfig,
    photos: Photos,
    machine: Machine,
    asked: Collection[str],
    start: Start,
    length: Length | None,
    pace: Pace | None,
) -> list[Choice]:
    """The choices of a config with their reasons, in the order of the table.

    Args:
        options (UserConfig): The config.
        photos (Photos): What it is for.
        machine (Machine): What it is trained on.
        asked (Collection[str]): Names of the arguments that the user gave, which need no reason.
        start (Start): What the backbone starts from.
        length (Length, optional): How epochs were fitted to a time.
        pace (Pace, optional): As it was measured.
    """
    told: list[Choice] = []

    def add(argument: str, value: object, reason: str = '') -> None:
        reason = 'as asked' if argument in asked else reason
        told.append(Choice(argument.replace('_', '-'), str(value), reason))

    add('detector', options.detector, _detector(options, photos))
    add('small', 'yes' if options.small else 'no', _small(options, machine))
    add('depth', options.depth)
    add('base_channels', options.base_channels)
    told.append(Choice('pretrained', start.value, start.reason))
    add('frozen_stages', options.frozen, _frozen(options))
    auto = '' if 'attention' in asked else 'auto: '
    add('attention', f'{auto}{options.attention}', KNOWN)
    add('scale', '{} {}'.format(*options.scale), _scale(options, photos, length))
    scales, ratios = options.anchors or default_anchors(options.detector)
    add('anchor_scales', ' '.join(f'{one:g}' for one in scales), _anchors(options, photos))
    if ratios != RATIOS:
        told_ratios = 'height to width of your boxes, from flat ones to tall ones'
        add('anchor_ratios', ' '.join(f'{one:g}' for one in ratios), told_ratios)
    add('batch_size', options.batch_size, _batch(options, machine))
    add('optimizer', options.solver, '' if options.small else "mmdet's")
    add('lr', f'{options.learning_rate:g}', 'usual for this batch')
    alone = pace is not None and pace.only_alone
    add('workers', options.workers, 'other processes cannot load pictures here' if alone else '')
    add('epochs', options.epochs, _epochs(options, length))
    if options.minutes is not None and pace is not None:
        measured = f'{pace.iteration:.2g} s an iteration, as measured just now'
        add('time', flag_of_minutes(options.minutes), measured)
    return told


def _detector(options: UserConfig, photos: Photos) -> str:
    if photos.has_masks and not options.detector.startswith('mask'):
        return 'boxes; your labels have outlines, which mask-rcnn learns too'
    return 'a sound first choice'


def _small(options: UserConfig, machine: Machine) -> str:
    if options.small:
        return f'narrow neck and heads, few proposals, for {machine}'
    return f'for {machine}' if machine.gpu else 'for a GPU, which is not here'


def _frozen(options: UserConfig) -> str:
    if options.checkpoint is None:
        return 'none: the backbone starts at random, so all of it has to learn'
    return "the first stage keeps its weights, as in mmdet's configs"


def _scale(options: UserConfig, photos: Photos, length: Length | None) -> str:
    small = photos.small_object(options.scale)
    told = f'one object in ten is smaller than {counted(round(small), "pixel")} then'
    if options.scale == DEFAULT_SCALE:
        told = f"mmdet's; {told}"
    if length is not None and length.is_shrunk:
        told += '; more takes more --time'
    return f'{told}; tiles of the photos would show them' if small < 8 else told


def _anchors(options: UserConfig, photos: Photos) -> str:
    boxes = photos.scaled(options.scale)
    detector, own = options.detector, options.anchors
    default = covered(boxes, default_anchors(detector), detector)
    if own is None:
        return f"mmdet's; {default:.0%} of the boxes match one (IoU of 0.5 or more)"
    share = covered(boxes, own, detector)
    return f"{share:.0%} of the boxes match one (IoU of 0.5 or more), of mmdet's {default:.0%}"


def _batch(options: UserConfig, machine: Machine) -> str:
    if options.small:
        return f'{counted(options.iterations_per_epoch, "iteration")} an epoch'
    memory = machine.gpu_memory
    told = f'an estimate for {memory:.0f} GB' if memory else 'for a GPU of 8 GB'
    return f'{told}; less if memory runs out'


def _epochs(options: UserConfig, length: Length | None) -> str:
    told = f'{counted(options.epochs * options.num_images, "picture")} shown'
    if length is None:
        return told
    if length.is_over:
        return f'{told}; one epoch alone takes longer than the time'
    if length.is_short:
        return f'{told}, too few to learn much; more takes more --time'
    if length.is_done_sooner:
        return f'{told}; more would bring little'
    return f'{told}, as many as the time allows'
