"""A detector for one picture at a time, read as in training: mmdet's inferencer."""

from __future__ import annotations

import stat
import warnings
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
import torch
from mmengine.config import Config
from PIL import Image

from ge_det.cli.config_data import class_names, data_sets
from ge_det.datasets.other_files import LENGTH, other_kind
from ge_det.errors import UserError, one_line

MOST_PIXELS = 64_000_000
"""Of a picture: drawing takes some fifty bytes of memory for each."""


class UnreadablePicture(Exception):
    """A picture that cannot be read; the message says why."""


class PictureDetector:
    """Detects in a picture and draws what it has found.

    Args:
        cfg (Config): Config of a detector.
        checkpoint (str): Path or URL of its weights.
        device (str, optional): Where it runs. Defaults to None: a GPU if there is one.

    Raises:
        UserError: If mmdet makes no detector for single pictures of them.
    """

    def __init__(self, cfg: Config, checkpoint: str, device: str | None = None) -> None:
        from mmdet.apis import DetInferencer

        if cfg.get('visualizer') is not None:
            cfg.visualizer.vis_backends = None  # The drawn picture is all that is wanted.
        try:
            self._inferencer = DetInferencer(cfg, checkpoint, device=device, show_progress=False)
            self._name_classes(cfg)
        except Exception as error:
            raise UserError(
                f'{cfg.filename}: no detector for pictures can be made of it '
                f'({type(error).__name__}: {one_line(error)})'
            ) from error

    def _name_classes(self, cfg: Config) -> None:
        """Classes that the checkpoint does not name are the config's; mmdet takes COCO's."""
        from mmdet.evaluation import get_classes

        model, meta = self._inferencer.model, self._inferencer.visualizer.dataset_meta
        if meta.get('classes') not in (None, coco := get_classes('coco')):
            return
        told = [getattr(module, 'num_classes', None) for module in model.modules()]
        count = max((number for number in told if isinstance(number, int)), default=0)
        sets = data_sets(cfg, 'test').get('test_dataloader')
        names = class_names(sets[0]) if sets else ()
        if count and len(names) == count:
            meta['classes'] = names
        elif count not in (0, len(coco)):
            meta['classes'] = tuple(f'class {index}' for index in range(count))

    def read(self, path: Path) -> dict[str, Any]:
        """The picture as the config's test pipeline reads it.

        Raises:
            UnreadablePicture: If it is none.
        """
        check_file(path)
        try:
            read: dict[str, Any] = self._inferencer.pipeline.transforms[0](str(path))
        except Exception as error:
            raise UnreadablePicture(_other(path)) from error
        return read

    @torch.inference_mode()
    def detect(self, read: dict[str, Any]) -> Any:
        """The detections in a picture that was read: mmdet's ``DetDataSample``."""
        try:
            return self._detect(read)
        except cv2.error:  # Its short side would be resized to nothing.
            height, width = read['img'].shape[:2]
            found = self._detect(_widen(read))
            found.pred_instances = _within(found.pred_instances, height, width)
            return found

    def _detect(self, read: dict[str, Any]) -> Any:
        data: Any = dict(read)
        for step in self._inferencer.pipeline.transforms[1:]:
            data = step(data)
        batch = dict(inputs=[data['inputs']], data_samples=[data['data_samples']])
        return self._inferencer.model.test_step(batch)[0]

    def draw(self, read: dict[str, Any], found: Any, threshold: float, suffix: str) -> bytes:
        """The picture with its detections in it.

        Args:
            read (dict): What :meth:`read` gave.
            found (DetDataSample): What :meth:`detect` gave.
            threshold (float): Detections are drawn from this score on.
            suffix (str): Format of the picture, such as ``'.jpg'``.

        Returns:
            bytes: The content of the file.
        """
        visualizer = self._inferencer.visualizer
        picture = np.ascontiguousarray(as_colour(read['img'])[..., ::-1])
        visualizer.add_datasample('', picture, found, draw_gt=False, pred_score_thr=threshold)
        drawn = np.ascontiguousarray(visualizer.get_image()[..., ::-1])
        is_done, content = cv2.imencode(suffix, drawn)
        if not is_done:
            raise ValueError(f'OpenCV does not write it as {suffix}')
        return bytes(content.tobytes())

    def as_dict(self, found: Any) -> dict[str, Any]:
        """All detections, of any score, as plain numbers and texts."""
        plain: dict[str, Any] = self._inferencer.pred2dict(found)
        return plain


def check_file(path: Path) -> None:
    """Raise UnreadablePicture for what is no file, without waiting for it, or far too large."""
    try:
        status = path.stat()
    except OSError as error:
        raise UnreadablePicture(error.strerror or 'cannot be opened') from error
    if not stat.S_ISREG(status.st_mode):
        raise UnreadablePicture('a pipe or device, not a file')
    if status.st_size == 0:
        raise UnreadablePicture('the file is empty')
    _check_size(path)


def _check_size(path: Path) -> None:
    """Raise UnreadablePicture for a picture that would take all memory, by its header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(path) as image:
                pixels = image.width * image.height
    except Image.DecompressionBombError:
        pixels = MOST_PIXELS + 1  # By Pillow's limit, which is higher.
    except Exception:  # OpenCV has the word.
        return
    if pixels > MOST_PIXELS:
        raise UnreadablePicture(
            f'of more than {MOST_PIXELS // 10**6} million pixels: scale it or cut it into pieces'
        )


def why_unreadable(path: Path) -> str:
    """Why mmcv does not read a file; '' if it does."""
    try:
        check_file(path)
        return '' if mmcv.imfrombytes(path.read_bytes()) is not None else _other(path)
    except UnreadablePicture as error:
        return str(error)
    except Exception:
        return _other(path)


def _other(path: Path) -> str:
    try:
        with path.open('rb') as file:
            kind = other_kind(file.read(LENGTH))
    except OSError as error:
        return error.strerror or 'cannot be opened'
    return kind or 'no picture, cut, damaged or of a kind that OpenCV does not read'


def as_colour(image: np.ndarray) -> np.ndarray:
    """A picture of any kind as three channels of eight bits."""
    if image.ndim == 2:
        image = image[..., None]
    if image.shape[2] not in (3, 4):
        image = np.repeat(image[..., :1], 3, axis=2)
    if image.dtype != np.uint8:
        image = np.clip(image, 0, 255).astype(np.uint8)
    return image[..., :3]


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
