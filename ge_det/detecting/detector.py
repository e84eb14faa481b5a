"""A detector for one picture at a time, read as in training: mmdet's inferencer."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import supervision as sv
import torch
from mmdet.apis import DetInferencer
from mmdet.evaluation import get_classes
from mmengine.config import Config
from torch import nn

from ge_det.config_reader import inner_data_set, type_name
from ge_det.detecting.picture_files import UnreadablePicture, check_file, what_it_is
from ge_det.errors import UserError, one_line


class _Inferencer(DetInferencer):
    """mmdet's, without what it draws with, for any form of a test set.

    Its own looks for the pipeline right in the data set, and in that for a loader by its short
    name: not in sets that are joined, nor in what MMEngine writes of a config with classes.
    """

    def _init_pipeline(self, cfg: Any) -> Any:
        data = inner_data_set(cfg.get('test_dataloader'))
        if not data.get('pipeline'):
            raise UserError(
                f'{cfg.filename}: its test_dataloader has no data set with a pipeline, by which '
                'pictures are read; add one'
            )
        cfg.test_dataloader.dataset = data
        for step in data.pipeline:
            if type_name(step.get('type')) == 'LoadImageFromFile':
                step['type'] = 'LoadImageFromFile'
        return super()._init_pipeline(cfg)

    def _init_visualizer(self, cfg: Any) -> None:
        return None


class PictureDetector:
    """Detects in one picture at a time.

    Args:
        cfg (Config): Config of a detector.
        checkpoint (str): Path or URL of its weights.
        device (str, optional): Where it runs. Defaults to None: a GPU if there is one.
        classes (Sequence[str]): The config's, for a checkpoint that does not name them. Defaults
            to ().

    Attributes:
        names (tuple[str]): Of the classes.

    Raises:
        UserError: If mmdet makes no detector for single pictures of them.
    """

    def __init__(
        self, cfg: Config, checkpoint: str, device: str | None = None, classes: Sequence[str] = ()
    ) -> None:
        try:
            # What mmdet says of classes and colours is settled here.
            with warnings.catch_warnings():
                warnings.simplefilter('ignore', UserWarning)
                self._inferencer = _Inferencer(
                    cfg, checkpoint, device=device, palette='random', show_progress=False
                )
            self.names = self._names(classes)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f'{cfg.filename}: no detector for pictures can be made of it '
                f'({type(error).__name__}: {one_line(error)})'
            ) from error

    @property
    def model(self) -> nn.Module:
        """The detector."""
        model: nn.Module = self._inferencer.model
        return model

    def _names(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Classes that the checkpoint does not name are the config's; mmdet takes COCO's."""
        meta: Any = self.model.dataset_meta
        told = meta.get('classes')
        if told not in (None, coco := get_classes('coco')):
            return (told,) if isinstance(told, str) else tuple(told)
        counts = [getattr(module, 'num_classes', None) for module in self.model.modules()]
        count = max((number for number in counts if isinstance(number, int)), default=0)
        if count and len(classes) == count:
            return tuple(classes)
        if count in (0, len(coco)):
            return tuple(coco)
        return tuple(f'class {index}' for index in range(count))

    def read(self, path: Path) -> dict[str, Any]:
        """The picture as the config's test pipeline reads it.

        Raises:
            UnreadablePicture: If it is none.
        """
        check_file(path)
        try:
            read: dict[str, Any] = self._inferencer.pipeline.transforms[0](str(path))
        except Exception as error:
            raise UnreadablePicture(what_it_is(path)) from error
        return read

    def take(self, image: np.ndarray) -> dict[str, Any]:
        """A picture from memory, as :meth:`read` gives one from a file.

        Args:
            image (np.ndarray): BGR, (H, W, 3) of ``uint8``.
        """
        taken: dict[str, Any] = self._inferencer.pipeline.transforms[0](image)
        return taken

    @torch.inference_mode()
    def detect(self, read: dict[str, Any]) -> sv.Detections:
        """All detections in a picture that was read, of any score, the surest first."""
        try:
            found = self._detect(read)
        except cv2.error:  # Its short side would be resized to nothing.
            height, width = read['img'].shape[:2]
            found = _within(self._detect(_widen(read)), height, width)
        return self._as_detections(found)

    def prepare(self, read: dict[str, Any]) -> dict[str, Any]:
        """What the network takes of a picture: its ``inputs`` and ``data_samples``."""
        data: Any = dict(read)
        for step in self._inferencer.pipeline.transforms[1:]:
            data = step(data)
        prepared: dict[str, Any] = data
        return prepared

    def _detect(self, read: dict[str, Any]) -> Any:
        data = self.prepare(read)
        batch = dict(inputs=[data['inputs']], data_samples=[data['data_samples']])
        result = self._inferencer.model.test_step(batch)[0]
        return result.get('pred_instances')  # None of a panoptic head alone.

    def _as_detections(self, found: Any) -> sv.Detections:
        if found is None:
            return sv.Detections(
                xyxy=np.empty((0, 4)),
                confidence=np.empty(0),
                class_id=np.empty(0, dtype=int),
                data={'class_name': np.empty(0, dtype=str)},
            )
        found = found[found.scores.argsort(descending=True, stable=True)].numpy()
        masks = found.get('masks')
        boxes = found.get('bboxes')
        if masks is not None and (boxes is None or not boxes.any()):  # Of a head like SOLO's.
            boxes = sv.mask_to_xyxy(masks.astype(bool))
        ids = found.labels.astype(int)
        names = [self.names[index] if index < len(self.names) else str(index) for index in ids]
        return sv.Detections(
            xyxy=np.asarray(boxes, dtype=np.float32),
            mask=None if masks is None else masks.astype(bool),
            confidence=found.scores,
            class_id=ids,
            data={'class_name': np.array(names, dtype=str)},
        )


def _widen(read: dict[str, Any]) -> dict[str, Any]:
    """A picture like a thread, with black below or beside it."""
    image = read['img']
    least = max(image.shape[:2]) // 16
    more = [(0, max(0, least - side)) for side in image.shape[:2]]
    image = np.pad(image, more + [(0, 0)] * (image.ndim - 2))
    shape = image.shape[:2]
    return {**read, 'img': image, 'img_shape': shape, 'ori_shape': shape}


def _within(found: Any, height: int, width: int) -> Any:
    """The parts of the detections that lie in a picture of this size."""
    boxes = found.bboxes
    boxes[:, 0::2], boxes[:, 1::2] = boxes[:, 0::2].clamp(0, width), boxes[:, 1::2].clamp(0, height)
    if 'masks' in found:
        masks = found.pop('masks')[:, :height, :width]
        found.masks = masks
    return found[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]


def check_device(device: str | None, name: str = 'device') -> None:
    """Raise a UserError for a device that torch does not know or has not got here.

    Args:
        device (str, optional): Such as ``'cuda:1'``; None is any.
        name (str): Of the argument, for the message. Defaults to ``'device'``.
    """
    if device is None:
        return
    try:
        torch.ones(1, device=device).item()  # What 'meta' cannot do.
    except (RuntimeError, AssertionError) as error:  # The latter of a torch without CUDA.
        reason = one_line(error).partition('. ')[0]
        fix = 'leave it out, or give cpu'
        raise UserError(f'{name} {device}: not to be had here ({reason}); {fix}') from error
