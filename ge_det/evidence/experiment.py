"""One experiment: a config and its work dir, trained and tested by mmdet's own tools.

Each step is a process of its own, resumes after an interruption, and is not run again once done.
"""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mmengine.config import Config

from ge_det.mmdet_tools import find_script

from .training_log import iterations_done


@lru_cache
def _read_config(path: Path) -> Config:
    return Config.fromfile(path)


class ExperimentError(RuntimeError):
    """A step that failed; the message is one line."""


@dataclass(frozen=True)
class Experiment:
    """A config and where its run is kept.

    Attributes:
        label (str): Name in tables and pictures.
        config (Path): Config file for mmdet's tools.
        work_dir (Path): Checkpoints, logs and results.
    """

    label: str
    config: Path
    work_dir: Path

    @property
    def log(self) -> Path:
        """What the processes printed."""
        return self.work_dir / 'console.log'

    @property
    def detections(self) -> Path:
        """COCO result file of the test."""
        return self.work_dir / 'test.bbox.json'

    def fingerprint(self) -> str:
        """Hash of the resolved config, so that results of another config are not mistaken."""
        text = _read_config(self.config).pretty_text
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def claim_work_dir(self) -> None:
        """Make the work dir, or check that it belongs to this config.

        Raises:
            ExperimentError: If it holds the run of another config.
        """
        self.work_dir.mkdir(parents=True, exist_ok=True)
        note, own = self.work_dir / 'config.sha256', self.fingerprint()
        if note.exists() and note.read_text().strip() != own:
            raise ExperimentError(
                f'{self.work_dir} holds a run of an older {self.config.name}; '
                'move or delete that folder to run the new one'
            )
        note.write_text(own + '\n')

    def total_iterations(self, images: int) -> int:
        """Iterations of the whole training on so many images."""
        config = _read_config(self.config)
        batches = math.ceil(images / config.train_dataloader.batch_size)
        return config.train_cfg.max_epochs * batches

    def is_trained(self) -> bool:
        """Whether the last checkpoint of the schedule is there."""
        return self._final_checkpoint().is_file()

    def iterations_done(self) -> int:
        """Iterations reported so far."""
        return iterations_done(self.work_dir)

    def start_training(self, threads: int) -> subprocess.Popen[bytes]:
        """Start or resume the training in the background."""
        return self._start('train', '--work-dir', str(self.work_dir), '--resume', threads=threads)

    def start_test(self, threads: int) -> subprocess.Popen[bytes]:
        """Start the evaluation of the final checkpoint in the background."""
        prefix = self.detections.with_name('test')
        return self._start(
            'test',
            str(self._final_checkpoint()),
            '--work-dir',
            str(self.work_dir),
            '--cfg-options',
            f'test_evaluator.outfile_prefix={prefix}',
            threads=threads,
        )

    def failure(self) -> ExperimentError:
        """What went wrong, by the last line of the log."""
        lines = self.log.read_text(errors='replace').strip().splitlines() or ['no output']
        return ExperimentError(f'{self.label}: {lines[-1]} (all of it: {self.log})')

    def _final_checkpoint(self) -> Path:
        epochs = _read_config(self.config).train_cfg.max_epochs
        return self.work_dir / f'epoch_{epochs}.pth'

    def _start(self, tool: str, *arguments: str, threads: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(find_script(tool)), str(self.config), *arguments]
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
        with self.log.open('ab') as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment)
