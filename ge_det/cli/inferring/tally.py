"""What became of the pictures, for the user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ge_det.cli.inferring.targets import Job
from ge_det.words import counted


@dataclass
class Tally:
    """What became of the pictures.

    Args:
        images (int): Pictures that are done.
        videos (int): Videos that are done.
        frames (int): Of the videos.
        classes (Counter): Detections drawn, by the names of their classes.
        best (float): The highest score of any detection, drawn or not.
        seconds (float): All that detecting and drawing took.
        skipped (list): Pictures that are not done, and why.
    """

    images: int = 0
    videos: int = 0
    frames: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    best: float = 0.0
    seconds: float = 0.0
    skipped: list[tuple[Job, str]] = field(default_factory=list)

    def add(self, job: Job, classes: Iterable[str], frames: int, seconds: float) -> None:
        """Count a picture or video that is done.

        Args:
            job (Job): It.
            classes (Iterable[str]): Of each detection in it.
            frames (int): How many it has.
            seconds (float): How long it took.
        """
        self.classes.update(classes)
        self.seconds += seconds
        if job.is_video:
            self.videos += 1
            self.frames += frames
        else:
            self.images += 1

    @property
    def done(self) -> str:
        """How many are done."""
        videos = f'{counted(self.videos, "video")} of {counted(self.frames, "frame")}'
        images = counted(self.images, 'image')
        if not self.videos:
            return images
        return f'{images} and {videos}' if self.images else videos

    def summary(self, out: str, threshold: float) -> list[str]:
        """Lines for the user."""
        count = self.classes.total()
        line = f'{out}: {self.done}, {counted(count, "detection")} over {threshold} drawn'
        is_any = self.images or self.videos
        if is_any and not count:
            line += f'; {self._no_detections()}'
        if self.skipped:
            line += f'; {counted(len(self.skipped), "image")} skipped'
        lines = [line]
        if count:
            most = [f'{name} {number}' for name, number in self.classes.most_common(12)]
            more = len(self.classes) - len(most)
            lines.append(
                f'  {", ".join(most)}' + (f', {counted(more, "more class")}' if more else '')
            )
        if is_any:
            each = self.seconds / (self.images + self.frames)
            lines.append(f'  {each:.2g} s each; drawn in vis, listed in detections.json and .csv')
        return lines

    def _no_detections(self) -> str:
        if not self.best:
            return 'the detector gives none; score_thr of its test_cfg leaves out low scores'
        return f'the highest score is {self.best:.2g}, and --score-thr lowers the limit'
