"""Run an exported file: onnxruntime and numpy, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ge_det.compat.extras import check_export
from ge_det.errors import UserError, one_line, shown
from ge_det.export.metadata import Metadata
from ge_det.files import expanded


@dataclass(frozen=True)
class Found:
    """The detections in one picture, the surest first.

    Attributes:
        boxes (np.ndarray): (K, 4), x1 y1 x2 y2 in pixels of the input.
        scores (np.ndarray): (K,).
        labels (np.ndarray): (K,), indices of classes.
        masks (np.ndarray, optional): (K, 28, 28), probabilities inside the box.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    masks: np.ndarray | None = None

    def over(self, score: float) -> Found:
        """Those of a higher score."""
        kept = self.scores > score
        masks = None if self.masks is None else self.masks[kept]
        return Found(self.boxes[kept], self.scores[kept], self.labels[kept], masks)


class Session:
    """An exported file in onnxruntime, on the CPU.

    Args:
        file (str | Path): The file.
        threads (int, optional): Of one operator. Defaults to None: onnxruntime's own choice.

    Attributes:
        names (tuple[str]): Of the outputs.
        texts (dict[str, str]): What the file says of itself, as ONNX keeps it.

    Raises:
        UserError: If there is no onnxruntime, or it does not take the file.
    """

    def __init__(self, file: str | Path, threads: int | None = None) -> None:
        check_export('onnxruntime')
        import onnxruntime

        self.file = expanded(file)
        if not self.file.is_file():
            raise UserError(f'{shown(self.file)}: no such file; `ge-det export` writes one')
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # Its warnings are of what it optimises.
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(
                str(self.file), options, providers=['CPUExecutionProvider']
            )
        except Exception as error:  # Its own types, which share no base of their own.
            raise UserError(
                f'{shown(self.file)}: onnxruntime does not take it ({one_line(error):.200}); '
                '`ge-det export` writes one that it takes'
            ) from error
        self.names = tuple(one.name for one in self._session.get_outputs())
        self._inputs = tuple(one.name for one in self._session.get_inputs())
        self.texts: dict[str, str] = self._session.get_modelmeta().custom_metadata_map

    def __deepcopy__(self, memo: object) -> Session:
        """Itself: running changes nothing in it, and hooks such as EMA's copy a whole model."""
        return self

    @property
    def metadata(self) -> Metadata:
        """What the file says of itself.

        Raises:
            UserError: If it says nothing.
        """
        return Metadata.from_texts(self.texts, shown(self.file))

    def run(self, images: np.ndarray, sizes: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The outputs, by name.

        Args:
            images (np.ndarray): (N, 3, H, W) of float32: resized, normalised and padded.
            sizes (np.ndarray, optional): (N, 2) of int64, height and width of each picture without
                its padding; a file of maps takes none. Defaults to None: without padding.
        """
        feed = {self._inputs[0]: np.ascontiguousarray(images, np.float32)}
        if len(self._inputs) > 1:
            if sizes is None:
                sizes = np.array([images.shape[2:]] * len(images))
            feed[self._inputs[1]] = np.ascontiguousarray(sizes, np.int64)
        return dict(zip(self.names, self._results(feed), strict=True))

    def _results(self, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs in their order; inputs, too, are in theirs."""
        results: list[np.ndarray] = self._session.run(None, feed)
        return results

    def detect(self, images: np.ndarray, sizes: np.ndarray | None = None) -> list[Found]:
        """The detections in each picture; rows that hold none are left out."""
        return split(self.run(images, sizes))


def split(outputs: dict[str, np.ndarray]) -> list[Found]:
    """The outputs of a detector, picture by picture, without rows that hold nothing."""
    found = []
    for index, labels in enumerate(outputs['labels']):
        kept = labels >= 0
        masks = outputs['masks'][index][kept] if 'masks' in outputs else None
        one = Found(
            outputs['boxes'][index][kept], outputs['scores'][index][kept], labels[kept], masks
        )
        found.append(one)
    return found
