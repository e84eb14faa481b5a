"""The choices behind a config for a user's own data: names, defaults, and what must fit together.

:mod:`ge_det.config_writer.text` turns them into a short config that inherits mmdet's own by
``_base_ = 'mmdet::...'``, so it runs wherever mmdet and this package are installed, from any
folder, with mmdet's own ``tools/train.py`` too.

Example:
    >>> options = UserConfig(
    ...     train_json='train.json', val_json='val.json', train_images='images',
    ...     val_images='images', classes=('cat', 'dog'), num_images=200, epochs=24)
    >>> print(config_text(options))
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ge_det.catalogue import DEPTHS, check_known, stage_channels
from ge_det.config_writer.detectors import DEFAULT_SCALE, DETECTOR, DETECTORS, Anchors
from ge_det.config_writer.literals import check_name
from ge_det.datasets.coco_kept import DETECTIONS
from ge_det.errors import UserError
from ge_det.weights.imagenet import RESNET_URLS, SE_RESNET_URLS

OPTIMIZERS = ('sgd', 'adamw')
_ADAMW_LR, _ADAMW_TUNING_LR = 1e-3, 2e-4  # From random weights, and from pretrained ones.


def checkpoint_of(pretrained: str, depth: int, base_channels: int, attention: str) -> str | None:
    """Path or URL of weights for a backbone; None if it starts from random ones.

    Args:
        pretrained (str): Path or URL, ``'none'``, or ``'auto'`` for mmpretrain's where they fit.
        depth (int): Depth of the ResNet.
        base_channels (int): Its width.
        attention (str): Short name of its block.
    """
    if pretrained == 'none':
        return None
    if pretrained != 'auto':
        return pretrained if '://' in pretrained else os.path.abspath(pretrained)
    if base_channels != 64:
        return None
    if attention == 'se' and depth in SE_RESNET_URLS:
        return SE_RESNET_URLS[depth]
    return RESNET_URLS[depth]


def _check_one_of(what: str, value: Any, choices: Collection[Any]) -> None:
    if value not in choices:
        listed = ', '.join(map(str, choices))
        raise UserError(f'{what} {value!r} is unknown: choose from {listed}')


@dataclass(frozen=True)
class UserConfig:
    """A detector for one train and one val set.

    Paths are made absolute, so that the config works from any folder.

    Args:
        train_json (str): COCO annotations to train on.
        val_json (str): COCO annotations to measure on.
        train_images (str): Folder of the train images.
        val_images (str): Folder of the val images.
        classes (tuple[str]): Class names in the order of the COCO files.
        num_images (int): Train images with at least one box; the schedule follows from it.
        epochs (int): How often each is shown.
        detector (str): A key of :data:`DETECTORS`. Defaults to 'faster-rcnn'.
        attention (str): Short name of a block, or 'none'. Defaults to 'sge'.
        small (bool): Whether to narrow neck and heads as well, with few proposals and AdamW, for a
            CPU. Defaults to False.
        depth (int): Depth of the ResNet. Defaults to 50.
        val_interval (int): Epochs from one measurement to the next. Defaults to 1.
        batch_size (int): Images an iteration. Defaults to 2.
        optimizer (str, optional): 'sgd' or 'adamw'. Defaults to None: mmdet's SGD, or AdamW for a
            small network.
        lr (float, optional): Learning rate. Defaults to None: the optimizer's usual one, scaled to
            the batch.
        scale (tuple[int]): Width and height that images are resized to fit into. Defaults to
            mmdet's (1333, 800).
        base_channels (int): Width of the network; 64 is a ResNet, 16 trains on a CPU.
            Defaults to 64.
        pretrained (str): Path or URL of backbone weights, 'none', or 'auto' for mmpretrain's
            ImageNet weights where they fit. Defaults to 'auto'.
        frozen_stages (int, optional): Stages of the backbone that do not learn. Defaults to None:
            1, as mmdet has it, or -1 without weights to start from.
        anchors (Anchors, optional): Scales and ratios. Defaults to None: mmdet's.
        minutes (float, optional): What the training takes, as measured. Defaults to None.
        workers (int): Processes that load images. Defaults to 2.
        has_ignored (bool): Whether the train set has objects that are neither to be learned nor
            to be background. Defaults to False.
        detections (int): As many as are given of an image. Defaults to mmdet's 100.

    Raises:
        UserError: If a value is not allowed; the message is one line.
    """

    train_json: str
    val_json: str
    train_images: str
    val_images: str
    classes: tuple[str, ...]
    num_images: int
    epochs: int
    detector: str = DETECTOR
    attention: str = 'sge'
    small: bool = False
    depth: int = 50
    val_interval: int = 1
    batch_size: int = 2
    optimizer: str | None = None
    lr: float | None = None
    scale: tuple[int, int] = DEFAULT_SCALE
    base_channels: int = 64
    pretrained: str = 'auto'
    frozen_stages: int | None = None
    anchors: Anchors | None = None
    minutes: float | None = None
    workers: int = 2
    has_ignored: bool = False
    detections: int = DETECTIONS

    def __post_init__(self) -> None:
        _check_one_of('detector', self.detector, DETECTORS)
        check_known(self.attention)
        _check_one_of('depth', self.depth, DEPTHS)
        if self.optimizer is not None:
            _check_one_of('optimizer', self.optimizer, OPTIMIZERS)
        if self.frozen_stages is not None:
            _check_one_of('frozen_stages', self.frozen_stages, range(-1, 5))
        if not self.classes:
            raise UserError('classes must not be empty')
        if self.base_channels < 16 or self.base_channels % 16:
            # The gates' bottlenecks divide the channels of a stage by 16.
            raise UserError(f'base_channels {self.base_channels} must be a multiple of 16')
        positive = {'num_images': self.num_images, 'epochs': self.epochs, 'lr': self.lr}
        positive |= {'batch_size': self.batch_size, 'scale': min(self.scale)}
        for name, value in positive.items():
            if value is not None and not 0 < value < math.inf:
                raise UserError(f'{name} {value} must be a number greater than 0')
        if self.detector == 'retinanet' and self.anchors and len(self.anchors.scales) > 1:
            raise UserError(
                'retinanet takes one of --anchor-scales, and adds two between it and its double; '
                f'give one instead of {len(self.anchors.scales)}'
            )
        if self.workers < 0:
            raise UserError('workers must not be below 0')
        for name in ('train_json', 'val_json', 'train_images', 'val_images'):
            path = os.path.abspath(getattr(self, name))
            object.__setattr__(self, name, check_name(name, path))
        for name in self.classes:
            check_name('class name', name)
        if self.checkpoint:
            check_name('pretrained', self.checkpoint)

    @property
    def iterations_per_epoch(self) -> int:
        """Iterations an epoch on one device."""
        return math.ceil(self.num_images / self.batch_size)

    @property
    def warmup(self) -> int:
        """Iterations of warm-up: mmdet's 500, but at most a tenth of the training."""
        return max(2, min(500, self.epochs * self.iterations_per_epoch // 10))

    @property
    def milestones(self) -> list[int]:
        """Epochs after which the learning rate falls, in the proportions of mmdet's schedules."""
        epochs = {round(self.epochs * part) for part in (2 / 3, 11 / 12)}
        return sorted(epoch for epoch in epochs if 0 < epoch < self.epochs)

    @property
    def learning_rate(self) -> float:
        """``lr``, or mmdet's for 16 images scaled linearly, AdamW's for 4 by the square root."""
        if self.solver == 'adamw':
            # The square root: Adam's steps do not grow with the gradient.
            start = _ADAMW_LR if self.checkpoint is None else _ADAMW_TUNING_LR
            scaled = start * math.sqrt(self.batch_size / 4)
        else:
            scaled = DETECTORS[self.detector].base_lr * self.batch_size / 16
        return self.lr or float(f'{scaled:.4g}')

    @property
    def solver(self) -> str:
        """``optimizer``, or that of the kind of network."""
        return self.optimizer or ('adamw' if self.small else 'sgd')

    @property
    def frozen(self) -> int:
        """``frozen_stages``, or what goes with the weights to start from."""
        default = -1 if self.checkpoint is None else 1
        return default if self.frozen_stages is None else self.frozen_stages

    @property
    def stage_channels(self) -> list[int]:
        """Channels that the four stages of the backbone put out."""
        return stage_channels(self.depth, self.base_channels)

    @property
    def checkpoint(self) -> str | None:
        """Path or URL that the backbone starts from, None for random weights."""
        return checkpoint_of(self.pretrained, self.depth, self.base_channels, self.attention)
