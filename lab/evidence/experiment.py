"""One experiment: a config and its work dir, trained and tested by mmdet's own tools.

Each step is a process of its own, resumes after an interruption, and is not run again once done.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import subprocess
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mmengine.config import Config

from ge_det.cli.openmmlab import find_script

from .launch import Launch
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
        inputs (tuple[Path, ...]): Files that the result depends on beside the config.
        checkpoint (Path | None): Weights to test instead of those at the end of the training.
        launch (Launch): How the tools are started. Defaults to one process.
        trainer (tuple[str, ...]): What python runs to train. Defaults to mmdet's tool.
        scale_rate (bool): Have the rate follow the number of pictures an iteration, as the config's
            ``auto_scale_lr`` says. Defaults to False.
    """

    label: str
    config: Path
    work_dir: Path
    inputs: tuple[Path, ...] = ()
    checkpoint: Path | None = None
    launch: Launch = Launch()
    trainer: tuple[str, ...] = ()
    scale_rate: bool = False

    @property
    def log(self) -> Path:
        """What the processes printed."""
        return self.work_dir / 'console.log'

    @property
    def detections(self) -> Path:
        """COCO result file of the test."""
        return self.detections_of('bbox')

    def detections_of(self, kind: str) -> Path:
        """The same of a kind, ``'bbox'`` or ``'segm'``."""
        return self.work_dir / f'test.{kind}.json'

    def final_checkpoint(self) -> Path:
        """Checkpoint of the last epoch, there or not."""
        return final_checkpoint(self.work_dir, _read_config(self.config))

    def fingerprint(self) -> str:
        """Hash of the resolved config and the inputs, to tell results of others apart."""
        digest = hashlib.sha256(repr(_read_config(self.config).to_dict()).encode())
        for file in self.inputs:
            digest.update(file.read_bytes())
        return digest.hexdigest()[:16]

    def claim_work_dir(self) -> None:
        """Make the work dir, or check that it belongs to this config and these inputs.

        Raises:
            ExperimentError: If it holds another run.
        """
        self.work_dir.mkdir(parents=True, exist_ok=True)
        note, own = self.work_dir / 'fingerprint', self.fingerprint()
        if note.exists() and note.read_text().strip() not in ('', own):  # '' by a kill.
            raise ExperimentError(
                f'{self.work_dir} holds a run of another {self.config.name} or other data; '
                'move or delete that folder to run this one'
            )
        note.write_text(own + '\n')

    def total_iterations(self, images: int) -> int:
        """Iterations of the whole training on so many images."""
        config = _read_config(self.config)
        batches = math.ceil(images / config.train_dataloader.batch_size)
        return config.train_cfg.max_epochs * batches

    def is_trained(self) -> bool:
        """Whether the last checkpoint of the schedule is there, and whole."""
        return is_finished(self.final_checkpoint())

    def is_tested(self) -> bool:
        """Whether the detections of the final checkpoint are there."""
        return self.detections.is_file()

    def keep_detections(self) -> None:
        """Accept what a finished test wrote; an interrupted one leaves only a part."""
        for kind in ('segm', 'bbox'):  # Boxes last: they tell that all is there.
            unfinished = self._unfinished_detections(kind)
            if unfinished.is_file():
                unfinished.rename(self.detections_of(kind))

    def iterations_done(self) -> int:
        """Iterations reported so far."""
        return iterations_done(self.work_dir)

    def start_training(self, threads: int) -> subprocess.Popen[bytes]:
        """Start or resume the training in the background."""
        # Not before there is something to resume: mmdet then forgets the config's load_from.
        resume = ['--resume'] if mend_last_checkpoint(self.work_dir) else []
        return self._start(self.training_command(*resume), threads)

    def training_command(self, *flags: str) -> list[str]:
        """The command line of the training."""
        trainer = self.trainer or (str(find_script('train')),)
        if self.scale_rate:
            flags = (*flags, '--auto-scale-lr')
        # MMEngine removes the oldest checkpoint before it writes a new one: with a single one, a
        # kill in between loses all. Not the config's business, and last, for it takes many values.
        keep = ('--cfg-options', 'default_hooks.checkpoint.max_keep_ckpts=2')
        return self.launch.command(
            *trainer, str(self.config), '--work-dir', str(self.work_dir), *flags, *keep
        )

    def start_test(self, threads: int) -> subprocess.Popen[bytes]:
        """Start the evaluation of the final checkpoint in the background."""
        return self._start(self.test_command(), threads)

    def test_command(self) -> list[str]:
        """The command line of the test."""
        prefix = self._unfinished_detections().with_name('test-unfinished')
        return self.launch.command(
            str(find_script('test')),
            str(self.config),
            str(self.checkpoint or self.final_checkpoint()),
            '--work-dir',
            str(self.work_dir),
            '--cfg-options',
            f'test_evaluator.outfile_prefix={prefix}',
        )

    def failure(self) -> ExperimentError:
        """What went wrong, by the last line of the log that names an error, else the last."""
        lines = self.log.read_text(errors='replace').strip().splitlines() or ['no output']
        # Launchers end with lines of their own.
        errors = [line for line in lines[-200:] if re.match(r'[\w.]*(Error|Exception)\b', line)]
        return ExperimentError(f'{self.label}: {(errors or lines)[-1]} (all of it: {self.log})')

    def _unfinished_detections(self, kind: str = 'bbox') -> Path:
        return self.work_dir / f'test-unfinished.{kind}.json'

    def _start(self, command: list[str], threads: int) -> subprocess.Popen[bytes]:
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
        with self.log.open('ab') as log:
            # Inheritable files stay open: a lock lives as long as the last process that holds it.
            return subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, close_fds=False
            )


def final_checkpoint(work_dir: Path, config: Config) -> Path:
    """Checkpoint of the last epoch of a training, there or not."""
    return work_dir / f'epoch_{config.train_cfg.max_epochs}.pth'


def is_finished(checkpoint: Path) -> bool:
    """Whether a checkpoint is there, whole, and the newest of its training."""
    note = checkpoint.with_name('last_checkpoint')  # MMEngine writes it after what it names.
    if not (note.is_file() and checkpoint.is_file()):
        return False
    return Path(note.read_text()).name == checkpoint.name


def mend_last_checkpoint(work_dir: Path) -> bool:
    """Have MMEngine's note name the newest checkpoint that is whole.

    A kill may leave the note empty, or naming a file that was never finished.

    Args:
        work_dir (Path): Of a training.

    Returns:
        bool: Whether there is a checkpoint; without one, the note is removed.
    """
    note = work_dir / 'last_checkpoint'
    if note.is_file() and _is_whole(Path(note.read_text().strip() or work_dir)):
        return True
    # torch.save writes a zip file, whose directory comes last.
    whole = [file for file in work_dir.glob('epoch_*.pth') if _is_whole(file)]
    if not whole:
        note.unlink(missing_ok=True)
        return False
    newest = max(whole, key=lambda file: int(file.stem.removeprefix('epoch_')))
    note.write_text(str(newest))
    return True


def _is_whole(checkpoint: Path) -> bool:
    return checkpoint.is_file() and zipfile.is_zipfile(checkpoint)
