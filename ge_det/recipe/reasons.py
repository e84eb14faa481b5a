"""Why a recipe is as it is, a clause a choice."""

from __future__ import annotations

from collections.abc import Collection

from ge_det.config_writer.detectors import DEFAULT_SCALE
from ge_det.config_writer.options import UserConfig

from .anchors import covered, default_anchors
from .facts import Machine, Photos
from .length import Length
from .start import Start
from .told import Choice, Told

KNOWN = 'none is clearly ahead in our small experiments; papers report +0.8 to +2.4 box AP on COCO'
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

    def choices(self, start: Start, is_auto: bool, length: Length | None) -> list[Choice]:
        """All of them, in the order of the table.

        Args:
            start (Start): What the backbone starts from.
            is_auto (bool): Whether the attention was chosen here.
            length (Length, optional): How epochs were fitted to a time.
        """
        options, add = self.options, self.told.add
        add('detector', options.detector, self._detector(), 'detector')
        network = f'ResNet-{options.depth}'
        network += f', {options.base_channels} wide' if options.base_channels != 64 else ''
        network += ', small neck and heads' if options.small else ''
        add('network', network, self._network(), 'depth', 'base_channels')
        add('start', start.name, start.reason, *(['pretrained'] if start.is_random else []))
        attention = KNOWN if is_auto else 'as asked'
        add('attention', options.attention, attention, 'attention')
        add('picture', '{} x {}'.format(*options.scale), self._picture(length), 'scale')
        add('anchors', self._anchors_shown(), self._anchors(), 'anchor_scales', 'anchor_ratios')
        frozen = 'nothing' if options.frozen < 0 else f'up to stage {options.frozen}'
        why = 'what starts at random has to learn' if start.is_random else "as in mmdet's configs"
        add('frozen', frozen, why, 'frozen_stages')
        add('batch', str(options.batch_size), self._batch(), 'batch_size')
        solver = {'sgd': 'SGD', 'adamw': 'AdamW'}[options.solver]
        rate = 'for a small network' if options.small else "mmdet's, scaled to the batch"
        add('rate', f'{solver}, {options.learning_rate:g}', rate, 'optimizer', 'lr')
        workers = f'processes that load pictures, beside {self.machine.cores} cores'
        add('workers', str(options.workers), workers, 'workers')
        add('epochs', str(options.num_epochs), self._epochs(length), 'epochs')
        if options.minutes is not None and length is not None:
            each = f'{length.pace.iteration:.2g} s an iteration, measured here'
            add('time', minutes(options.minutes), each, 'time')
        return self.told.choices

    def _detector(self) -> str:
        if self.photos.has_masks:
            return 'finds boxes; your labels have outlines, which mask-rcnn learns too'
        return 'a sound first choice'

    def _network(self) -> str:
        if not self.options.small:
            return f'for {self.machine}' if self.machine.gpu else 'for a GPU'
        return f'{self.machine} to train on'

    def _picture(self, length: Length | None) -> str:
        small = self.photos.small_object(self.options.scale)
        told = f'one object in ten is smaller than {small:.0f} pixels then'
        if length is not None and length.is_shrunk:
            told += '; the time is too short for more'
        if small < 10:
            told += '; cut the photos into tiles if it matters'
        return told if self.options.scale != DEFAULT_SCALE else f"mmdet's; {told}"

    def _anchors_shown(self) -> str:
        if self.options.anchors is None:
            return "mmdet's"
        scales, ratios = (' '.join(f'{one:g}' for one in part) for part in self.options.anchors)
        return f'{scales}; {ratios}'

    def _anchors(self) -> str:
        boxes = self.photos.scaled(self.options.scale)
        detector, own = self.options.detector, self.options.anchors
        default = covered(boxes, default_anchors(detector), detector)
        if own is None:
            return f'cover {default:.0%} of the boxes'
        return f"cover {covered(boxes, own, detector):.0%} of the boxes, mmdet's {default:.0%}"

    def _batch(self) -> str:
        if self.options.small:
            return f'{self.options.iterations_per_epoch} iterations an epoch'
        memory = self.machine.gpu_memory
        told = f'estimated for {memory:.0f} GB' if memory else 'a GPU of 8 GB is supposed'
        return f'{told}; take less if memory runs out'

    def _epochs(self, length: Length | None) -> str:
        shown = self.options.num_epochs * self.options.num_images
        told = f'{shown:,} pictures shown'
        if length is None:
            return told
        if length.is_short:
            return f'{told}, too few to learn much: give more --time, or a GPU'
        if length.is_done_sooner:
            return f'{told}; more would bring little'
        return f'{told}, as many as the time allows'


def minutes(value: float) -> str:
    """A time for readers, such as ``'about 28 minutes'`` or ``'about 3.5 hours'``."""
    if value < 1.5:
        return 'about a minute'
    return f'about {value:.0f} minutes' if value < 100 else f'about {value / 60:.1f} hours'
