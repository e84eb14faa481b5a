"""Videos: frames in, a drawn video out, as far as OpenCV knows their format."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import supervision as sv

from ge_det.detecting.picture_files import UnreadablePicture, check_file

_USUAL_RATE = 25.0  # Of a file that does not tell its own.
_CODEC = 'mp4v'  # What OpenCV's own builds always have.


class Video:
    """A video that can be read.

    Args:
        path (Path): The file.

    Attributes:
        rate (float): Frames in a second.
        length (int | None): Number of frames as the file tells it, if it does.
        size (tuple[int, int]): Width and height of a frame.

    Raises:
        UnreadablePicture: If OpenCV reads no frame of it.
    """

    def __init__(self, path: Path) -> None:
        check_file(path)
        self._path = path
        first = next(self.frames(), None)
        if first is None:
            raise UnreadablePicture('no video, damaged or of a kind that OpenCV does not read')
        self.size = (first.shape[1], first.shape[0])  # As it is turned.
        told = sv.VideoInfo.from_video_path(str(path))
        is_rate = math.isfinite(told.fps) and 0 < told.fps <= 1000
        self.rate = told.fps if is_rate else _USUAL_RATE
        self.length = told.total_frames if (told.total_frames or 0) > 0 else None

    def frames(self) -> Iterator[np.ndarray]:
        """Its frames, BGR."""
        capture = cv2.VideoCapture(str(self._path))
        try:
            while capture.isOpened():
                is_read, frame = capture.read()
                if not is_read:
                    return
                yield frame
        finally:
            capture.release()


class DrawnVideo:
    """A video that is being written: there as a whole in the end, or not at all.

    Args:
        path (Path): Its file, of the ending ``.mp4``; the folder must be there.
        video (Video): Whose size and rate it has.

    Raises:
        UnreadablePicture: If OpenCV writes no videos here.
    """

    def __init__(self, path: Path, video: Video) -> None:
        self._path = path
        # The ending tells OpenCV the format.
        self._part = path.with_name(f'.{path.stem[:40]}.{os.getpid()}.part.mp4')
        self._sink = sv.VideoSink(str(self._part), sv.VideoInfo(*video.size, video.rate), _CODEC)

    def __enter__(self) -> sv.VideoSink:
        try:
            return self._sink.__enter__()
        except RuntimeError as error:
            self._part.unlink(missing_ok=True)
            raise UnreadablePicture(
                f'OpenCV writes no MP4 here, for want of the codec {_CODEC}; `pip install '
                'opencv-python-headless` brings it'
            ) from error

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            self._sink.__exit__(kind, *rest)  # type: ignore[arg-type]
            if kind is None:
                os.replace(self._part, self._path)
        finally:
            self._part.unlink(missing_ok=True)
