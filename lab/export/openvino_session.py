"""An exported file in OpenVINO."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ge_det.export.session import Session


class OpenVinoSession(Session):
    """A file in OpenVINO, on the CPU, in float32; otherwise as a Session.

    Args:
        file (str | Path): The file.
        threads (int): For it.
    """

    def __init__(self, file: str | Path, threads: int) -> None:
        import openvino

        super().__init__(file, threads)
        options = {'INFERENCE_NUM_THREADS': threads, 'INFERENCE_PRECISION_HINT': 'f32'}
        self._compiled = openvino.Core().compile_model(str(file), 'CPU', options)

    def run(self, images: np.ndarray, sizes: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The outputs, by name."""
        feed = [np.ascontiguousarray(images, np.float32)]
        if len(self._inputs) > 1:
            if sizes is None:
                sizes = np.array([images.shape[2:]] * len(images))
            feed.append(np.ascontiguousarray(sizes, np.int64))
        results = self._compiled(feed)
        return {name: results[index] for index, name in enumerate(self.names)}
