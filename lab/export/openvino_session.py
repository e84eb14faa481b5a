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

    def _results(self, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        results = self._compiled(list(feed.values()))
        return [results[index] for index in range(len(self.names))]
