"""Draw pictures one after another: what is done stays done, and a bad one stops nothing."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import supervision as sv
from tqdm import tqdm  # type: ignore[import-untyped]

from ge_det.cli.inferring.lists import Lists, Record, image_record
from ge_det.cli.inferring.tally import Tally
from ge_det.cli.inferring.targets import Job
from ge_det.cli.inferring.videos import DrawnVideo, Video
from ge_det.detecting import picture_files
from ge_det.detecting.detector import PictureDetector
from ge_det.detecting.picture_files import UnreadablePicture, as_colour
from ge_det.drawing import draw_boxes
from ge_det.errors import UserError, one_line, shown
from ge_det.files import write_whole


@dataclass
class Drawer:
    """Detects in pictures and videos, and writes what it finds.

    Args:
        detector (PictureDetector): What detects.
        lists (Lists): Where it is listed.
        threshold (float): Detections of a higher score are drawn and listed.
        keeps (bool): Drawings that are there stay as they are.
        overwrites (bool): Drawings that are there are written over.
        tally (Tally): What became of the pictures so far.
    """

    detector: PictureDetector
    lists: Lists
    threshold: float
    keeps: bool
    overwrites: bool
    tally: Tally = field(default_factory=Tally)
    _fault: Exception | None = None

    def draw_all(self, jobs: Sequence[Job]) -> Tally:
        """Detect in each picture, draw what is found, and write it at once.

        Args:
            jobs (Sequence[Job]): Pictures and videos and where they go.

        Raises:
            UserError: If a file cannot be written.
            Exception: What the detector raised, if it did so in every picture that was ever read.
        """
        for job in tqdm(jobs, desc='infer', unit='image', disable=None):
            start = time.perf_counter()
            try:
                images = self._video(job) if job.is_video else self._picture(job)
            except UnreadablePicture as error:
                self.tally.skipped.append((job, str(error)))
                continue
            self._list(job, images)
            numbers = [one['category_id'] for image in images for one in image['found']]
            names = dict(enumerate(self.detector.names, start=1))
            classes = [names.get(number, str(number)) for number in numbers]
            self.tally.add(job, classes, len(images), time.perf_counter() - start)
        if self._fault is not None and self.lists.is_empty:
            raise self._fault
        return self.tally

    def _picture(self, job: Job) -> list[Record]:
        found, drawn = self._detect(self.detector.read(job.source))
        if not self._is_kept(job):
            suffix = job.drawn.suffix.lower()
            is_done, content = cv2.imencode(suffix, drawn)
            if not is_done:
                raise UnreadablePicture(f'OpenCV does not write it as {suffix}')
            with self._writing(job):
                write_whole(job.drawn, content.tobytes())
        return [image_record(job, drawn.shape[:2], found)]

    def _video(self, job: Job) -> list[Record]:
        video, records = Video(job.source), []
        frames = tqdm(
            video.frames(), job.source.name, video.length, leave=False, unit='frame', disable=None
        )
        with ExitStack() as stack:
            sink = None
            if not self._is_kept(job):
                stack.enter_context(self._writing(job))
                sink = stack.enter_context(DrawnVideo(job.drawn, video))
            for number, frame in enumerate(frames):
                found, drawn = self._detect(self.detector.take(frame))
                if sink is not None:
                    sink.write_frame(drawn)
                more = dict(frame=number, time=round(number / video.rate, 3))
                records.append(image_record(job, drawn.shape[:2], found, **more))
        return records

    def _detect(self, read: dict[str, Any]) -> tuple[sv.Detections, np.ndarray]:
        """The detections over the limit, and the picture with them, BGR."""
        try:
            found = self.detector.detect(read)
            scores = found.confidence
            assert scores is not None
            kept = found[scores > self.threshold]
            assert isinstance(kept, sv.Detections)
            picture = np.ascontiguousarray(as_colour(read['img'])[..., ::-1])
            drawn = draw_boxes(picture, kept, self.detector.names)
        except Exception as error:  # Of a model on a picture it cannot take, or of no memory left.
            self._fault = self._fault or error
            raise UnreadablePicture(
                f'the detector fails on it ({type(error).__name__}: {one_line(error)})'
            ) from error
        self.tally.best = max([self.tally.best, *map(float, scores)])
        return kept, np.ascontiguousarray(drawn[..., ::-1])

    def _is_kept(self, job: Job) -> bool:
        return self.keeps and os.path.exists(job.drawn)

    @contextmanager
    def _writing(self, job: Job) -> Iterator[None]:
        """Make the folder of a drawing that nobody else has made meanwhile."""
        if os.path.lexists(job.drawn) and not self.overwrites:
            raise UserError(f'{shown(job.drawn)} has come up meanwhile; drawn: {self.tally.done}')
        with self._told(job.drawn):
            job.drawn.parent.mkdir(parents=True, exist_ok=True)
            yield

    def _list(self, job: Job, images: list[Record]) -> None:
        with self._told(self.lists.out):
            self.lists.add(
                dict(drawn=job.drawn.relative_to(self.lists.out).as_posix(), images=images)
            )

    @contextmanager
    def _told(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
                reason = f'no file of such a name in --out ({error.strerror})'
                raise UnreadablePicture(reason) from error
            raise UserError(
                f'{shown(path)}: cannot be written ({error.strerror or error}); drawn: '
                f'{self.tally.done}'
            ) from error


def why_unreadable(job: Job) -> str:
    """Why a picture or video cannot be read; '' if it can."""
    if not job.is_video:
        return picture_files.why_unreadable(job.source)
    try:
        Video(job.source)
    except UnreadablePicture as error:
        return str(error)
    return ''
