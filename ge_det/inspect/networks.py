"""A trained detector or classifier, and pictures for it one at a time, as its config reads them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from ge_det.config_reader import inner_data_set
from ge_det.detecting.detector import PictureDetector
from ge_det.detecting.picture_files import UnreadablePicture, as_colour, check_file, what_it_is
from ge_det.errors import UserError, one_line
from ge_det.words import counted


class Prepared(NamedTuple):
    """A picture that a network takes.

    Attributes:
        image (np.ndarray): What the network sees without the padding, RGB, (h, w, 3) of ``uint8``.
        data (dict): ``inputs`` and ``data_samples`` of the test pipeline.
        original (np.ndarray): The picture of the file, RGB, (H, W, 3) of ``uint8``.
    """

    image: np.ndarray
    data: dict[str, Any]
    original: np.ndarray

    @property
    def scale(self) -> tuple[float, float]:
        """Width and height of ``image`` in those of the file."""
        (height, width), (full_height, full_width) = self.image.shape[:2], self.original.shape[:2]
        return width / full_width, height / full_height


class Seen(NamedTuple):
    """What a network made of a picture.

    Attributes:
        sample (Any): With predictions.
        area (tuple[float, float]): Shares of the height and width of its input that are no padding.
    """

    sample: Any
    area: tuple[float, float]


class Network(ABC):
    """A trained network of MMEngine.

    Attributes:
        model (nn.Module): It, in evaluation.
    """

    model: nn.Module

    @abstractmethod
    def read(self, path: Path) -> Prepared:
        """A picture; raises UnreadablePicture."""

    def batch(self, prepared: Prepared) -> dict[str, Any]:
        """A batch of one."""
        return dict(inputs=[prepared.data['inputs']], data_samples=[prepared.data['data_samples']])

    @torch.no_grad()
    def run(self, prepared: Prepared) -> Seen:
        """Send a picture through."""
        model: Any = self.model
        sample = model.test_step(self.batch(prepared))[0]
        height, width = prepared.image.shape[:2]
        padded = sample.metainfo.get('batch_input_shape', (height, width))
        return Seen(sample, (height / padded[0], width / padded[1]))

    @torch.no_grad()
    def images(self, prepared: Prepared) -> Tensor:
        """The network's input, (1, 3, H, W)."""
        model: Any = self.model
        ready: Tensor = model.data_preprocessor(self.batch(prepared), False)['inputs']
        return ready


class Detector(Network):
    """A detector of mmdet.

    Args:
        cfg (Config): Its config.
        checkpoint (str): Path or URL of its weights.
        device (str, optional): Defaults to None: a GPU if there is one.
        classes (Sequence[str]): The config's. Defaults to ().
    """

    def __init__(
        self, cfg: Config, checkpoint: str, device: str | None = None, classes: Sequence[str] = ()
    ) -> None:
        self._detector = PictureDetector(cfg, checkpoint, device, classes)
        self.model = self._detector.model
        self.names = self._detector.names

    def read(self, path: Path) -> Prepared:
        """A picture."""
        read = self._detector.read(path)
        return _prepared(self._detector.prepare, read, read['img'])


class Classifier(Network):
    """A classifier of mmpretrain.

    Args:
        cfg (Config): Its config.
        checkpoint (str): Path or URL of its weights.
        device (str, optional): Defaults to None: a GPU if there is one.
    """

    def __init__(self, cfg: Config, checkpoint: str, device: str | None = None) -> None:
        from mmpretrain.apis import ImageClassificationInferencer

        self._inferencer = ImageClassificationInferencer(cfg, pretrained=checkpoint, device=device)
        self.model = self._inferencer.model
        data_set = inner_data_set(cfg.get('test_dataloader'))
        told = (data_set.get('metainfo') or {}).get('classes')
        self.names = tuple(self._inferencer.classes or told or ())

    def labels_of(self, folders: Sequence[str]) -> list[int]:
        """Outputs that stand for folders of pictures: by name, else in their order.

        Raises:
            UserError: If neither fits.
        """
        if set(folders) <= set(self.names):
            return [self.names.index(one) for one in folders]
        head: Any = self.model.head
        if len(folders) != head.num_classes:
            raise UserError(
                f'{counted(len(folders), "folder")} of pictures, the first {folders[0]!r}, are not '
                f'the {counted(head.num_classes, "class")} of the classifier: name them as these'
            )
        return list(range(len(folders)))

    def read(self, path: Path) -> Prepared:
        """A picture."""
        import mmcv

        check_file(path)
        try:
            image = mmcv.imread(str(path))
        except Exception as error:
            raise UnreadablePicture(what_it_is(path)) from error
        if image is None:
            raise UnreadablePicture(what_it_is(path))
        shape = image.shape[:2]
        read = dict(img=image, img_shape=shape, ori_shape=shape)
        return _prepared(self._inferencer.pipeline, read, image)


def _prepared(
    pipeline: Callable[[dict[str, Any]], dict[str, Any]], read: dict[str, Any], original: np.ndarray
) -> Prepared:
    try:
        data = pipeline(read)
    except Exception as error:  # Such as OpenCV's of a picture like a thread.
        height, width = original.shape[:2]
        raise UnreadablePicture(
            f'the test pipeline fails on it, {height}x{width} ({one_line(error)})'
        ) from error
    pixels = data['inputs'].permute(1, 2, 0).numpy()
    if pixels.dtype != np.uint8:  # A pipeline that normalises by itself.
        pixels = pixels - pixels.min()
        pixels = (255 * pixels / max(float(pixels.max()), 1e-6)).astype(np.uint8)
    return Prepared(_rgb(pixels), data, _rgb(original))


def _rgb(bgr: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(as_colour(bgr)[..., ::-1])
