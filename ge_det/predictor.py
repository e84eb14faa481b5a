"""A trained detector in Python: a picture in, its detections out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, overload

import numpy as np
import supervision as sv
from PIL import Image

from ge_det.config_reader import inner_data_set, read_model
from ge_det.detecting.detector import PictureDetector, check_device
from ge_det.detecting.picture_files import UnreadablePicture, as_colour, from_memory
from ge_det.detecting.score_threshold import check_score_threshold
from ge_det.drawing import draw_boxes
from ge_det.errors import UserError, shown
from ge_det.files import expanded
from ge_det.reading.mmengine_loader import register_loader
from ge_det.unprinted import unprinted
from ge_det.weights.trained import best_checkpoint, find_trained
from ge_det.weights.whole_model import check_fits

Picture = str | Path | Image.Image | np.ndarray
Pictures = list[Picture] | tuple[Picture, ...]


class Predictor:
    """Finds objects in pictures, as ``ge-det infer`` does.

    Example:
        >>> predict = Predictor('work_dirs/my')
        >>> found = predict('photo.jpg')
        >>> predict.draw('photo.jpg', found).save('drawn.jpg')

    Args:
        checkpoint (str | Path): A work dir, whose best checkpoint is taken; a checkpoint in one; or
            with ``config`` any checkpoint, as a path or URL.
        config (str | Path, optional): The config it was trained with. Defaults to None: the one in
            the work dir.
        score_thr (float): Detections of a higher score are returned. Defaults to 0.3.
        device (str, optional): Such as ``'cpu'`` or ``'cuda:1'``. Defaults to None: a GPU if there
            is one.

    Attributes:
        names (tuple[str]): Of the classes, by their ``class_id``.

    Raises:
        UserError: If there is no such work dir, config or checkpoint, the two do not belong
            together, or there is no such device; the message is one line.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        config: str | Path | None = None,
        *,
        score_thr: float = 0.3,
        device: str | None = None,
    ) -> None:
        if config is None:
            trained = find_trained(checkpoint)
            config, checkpoint = trained.config, trained.checkpoint
        elif os.path.isdir(checkpoint):
            checkpoint = best_checkpoint(Path(checkpoint))
        check_score_threshold(score_thr)
        check_device(device)
        register_loader()
        self.score_thr = score_thr
        cfg = read_model(str(config))
        weights = os.path.expanduser(str(checkpoint))
        classes = _classes(cfg)
        with unprinted():
            self._detector = PictureDetector(cfg, weights, device, classes)
        check_fits(self._detector.model, weights, classes)
        self.names = self._detector.names

    @overload
    def __call__(self, image: Picture) -> sv.Detections: ...

    @overload
    def __call__(self, image: Pictures) -> list[sv.Detections]: ...

    def __call__(self, image: Picture | Pictures) -> sv.Detections | list[sv.Detections]:
        """Detect in a picture, or in each of several.

        Args:
            image (str | Path | Image | np.ndarray | list): The path of a picture; a picture of
                Pillow's, turned as its EXIF says; an array in the order BGR as ``cv2.imread`` gives
                it, (H, W, 3) of ``uint8``, where grey, alpha and sixteen bits are taken, too; or
                several of these.

        Returns:
            sv.Detections | list[sv.Detections]: supervision's, the surest first: ``xyxy`` in pixels
            of the picture, ``confidence``, ``class_id``, names as ``data['class_name']``, and
            ``mask`` (N, H, W) of a detector with masks. Of several pictures a list.

        Raises:
            UserError: If a file cannot be read as a picture.
            ValueError: If an array is no picture.
        """
        if not isinstance(image, (str, Path, Image.Image, np.ndarray)):
            given: Any = image
            if not isinstance(given, (list, tuple)):
                raise ValueError(
                    f'no picture: {type(given).__name__}; give a path, a picture of Pillow or an '
                    'array as cv2.imread gives it, which is None where there is no such file'
                )
            return [self(one) for one in image]
        found = self._detector.detect(self._read(image))
        assert found.confidence is not None
        kept = found[found.confidence > self.score_thr]
        assert isinstance(kept, sv.Detections)
        return kept

    @overload
    def draw(self, image: np.ndarray, detections: sv.Detections | None = None) -> np.ndarray: ...

    @overload
    def draw(
        self, image: str | Path | Image.Image, detections: sv.Detections | None = None
    ) -> Image.Image: ...

    def draw(
        self, image: Picture, detections: sv.Detections | None = None
    ) -> np.ndarray | Image.Image:
        """Draw detections into a copy of a picture.

        Args:
            image (str | Path | Image | np.ndarray): As for a call.
            detections (sv.Detections, optional): What a call gave. Defaults to None: detect now.

        Returns:
            np.ndarray | Image: For an array, one in the order BGR of ``uint8``; else a picture of
            Pillow's.

        Raises:
            UserError: If a file cannot be read as a picture.
            ValueError: If an array is no picture.
        """
        if detections is None:
            detections = self(image)
        pixels = as_colour(self._read(image)['img'])
        drawn = draw_boxes(np.ascontiguousarray(pixels[..., ::-1]), detections, self.names)
        if isinstance(image, np.ndarray):
            return np.ascontiguousarray(drawn[..., ::-1])
        return Image.fromarray(drawn)

    def _read(self, image: Picture) -> dict[str, Any]:
        if isinstance(image, (np.ndarray, Image.Image)):
            return self._detector.take(from_memory(image))
        if '://' in str(image):
            raise UserError(f'{shown(image)}: pictures are files here; download it')
        path = expanded(image)
        if path.is_dir():
            raise UserError(
                f'{shown(path)}: a folder; give its pictures, such as sorted(Path(...).iterdir())'
            )
        try:
            return self._detector.read(path)
        except UnreadablePicture as error:
            raise UserError(f'{shown(path)}: no picture that can be read ({error})') from error


def _classes(cfg: Any) -> tuple[str, ...]:
    """Of the config's data, in the order of the model's outputs; () if it does not name them."""
    data_set = inner_data_set(cfg.get('test_dataloader'))
    classes = (data_set.get('metainfo') or {}).get('classes') or ()
    return (classes,) if isinstance(classes, str) else tuple(classes)
