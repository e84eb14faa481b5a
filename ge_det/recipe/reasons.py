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
from .start import Start
from .told import Choice, Told

KNOWN = (
    'no block is clearly ahead in our small experiments; papers: +0.8 to +2.4 box AP on COCO; '
    'sge costs least'
)
"""Of the blocks, in one line; docs/evidence has the figures."""


class Reasons:
    """The reasons for the choices of a config.

    Args:
        options (UserConfig): The config.
        photos (Photos): What it is for.
        machine (Machine): What it is trained on.
        asked (Collection[str]): Names of the arguments that the user gave.
    """

    def __init__(
        self, options: UserConfig, photos: Photos, machine: Machine, asked: Collection[str]
    ) -> None:
        self.options, self.photos, self.machine = options, photos, machine
        self.told = Told(asked)

    def choices(self, start: Start, length: Length | None) -> list[Choice]:
        """All of them, in the order of the table.

        Args:
            start (Start): What the backbone starts from.
            length (Length, optional): How epochs were fitted to a time.
        """
        options, add = self.options, self.told.add
        add('detector', options.detector, self._detector())
        add('small', 'yes' if options.small else 'no', self._small())
        add('depth', options.depth)
        add('base_channels', options.base_channels)
        self.told.choices.append(Choice('pretrained', start.value, start.reason))
        add('frozen_stages', options.frozen, self._frozen())
        add('attention', options.attention, KNOWN)
        add('scale', '{} {}'.format(*options.scale), self._scale(length))
        scales, ratios = options.anchors or default_anchors(options.detector)
        add('anchor_scales', ' '.join(f'{one:g}' for one in scales), self._anchors())
        if ratios != RATIOS:
            add('anchor_ratios', ' '.join(f'{one:g}' for one in ratios))
        add('batch_size', options.batch_size, self._batch())
        add('optimizer', options.solver, '' if options.small else "mmdet's")
        add('lr', f'{options.learning_rate:g}', 'usual for this batch')
        add('workers', options.workers)
        add('epochs', options.num_epochs, self._epochs(length))
        if options.minutes is not None and length is not None:
            pace = f'{length.pace.iteration:.2g} s an iteration'
            add('time', flag_of_minutes(options.minutes), f'{pace}, as measured just now')
        return self.told.choices

    def _detector(self) -> str:
        if self.photos.has_masks and not self.options.detector.startswith('mask'):
            return 'boxes; your labels have outlines, which mask-rcnn learns too'
        return 'a sound first choice'

    def _small(self) -> str:
        if self.options.small:
            return f'narrow neck and heads, few proposals, for {self.machine}'
        return f'for {self.machine}' if self.machine.gpu else 'for a GPU, which is not here'

    def _frozen(self) -> str:
        if self.options.checkpoint is None:
            return 'what starts at random has to learn'
        return "as in mmdet's configs"

    def _scale(self, length: Length | None) -> str:
        small = self.photos.small_object(self.options.scale)
        told = f'one object in ten is smaller than {small:.0f} pixels then'
        if self.options.scale == DEFAULT_SCALE:
            told = f"mmdet's; {told}"
        if length is not None and length.is_shrunk:
            told += '; more takes more --time'
        return f'{told}; tiles of the photos would show them' if small < 8 else told

    def _anchors(self) -> str:
        boxes = self.photos.scaled(self.options.scale)
        detector, own = self.options.detector, self.options.anchors
        default = covered(boxes, default_anchors(detector), detector)
        if own is None:
            return f"mmdet's, which cover {default:.0%} of the boxes"
        return f"cover {covered(boxes, own, detector):.0%} of the boxes, mmdet's {default:.0%}"

    def _batch(self) -> str:
        if self.options.small:
            return f'{counted(self.options.iterations_per_epoch, "iteration")} an epoch'
        memory = self.machine.gpu_memory
        told = f'an estimate for {memory:.0f} GB' if memory else 'for a GPU of 8 GB'
        return f'{told}; less if memory runs out'

    def _epochs(self, length: Length | None) -> str:
        shown = self.options.num_epochs * self.options.num_images
        told = f'{counted(shown, "picture")} shown'
        if length is None:
            return told
        if length.is_over:
            return f'{told}; one epoch alone takes longer than the time'
        if length.is_short:
            return f'{told}, too few to learn much; more takes more --time'
        if length.is_done_sooner:
            return f'{told}; more would bring little'
        return f'{told}, as many as the time allows'
