"""One experiment: a config and its work dir, trained and tested by mmdet's own tools.

Each step is a process of its own, resumes after an interruption, and is not run again once done.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ge_det.cli.openmmlab import find_script
from ge_det.errors import UserError

from .launch import Launch, end_with_parent, environment


class ExperimentError(RuntimeError):
    """A step that failed; the message is one line."""


@dataclass(frozen=True)
class Experiment:
    """A config and where its run is kept."""

    name: str  # Of the config file in the work dir, and in messages.
    text: str  # Of that file.
    work_dir: Path
    checkpoint: Path  # What is tested: that of the last epoch, where it is trained here.
    inputs: tuple[Path, ...] = ()  # Files that the result depends on beside the config.
    launch: Launch = Launch()
    is_classifier: bool = False  # Trained by mmpretrain's tool instead of mmdet's.
    scale_rate: bool = False  # By the number of pictures an iteration, see `auto_scale_lr`.

    @property
    def config(self) -> Path:
        """The config file."""
        return self.work_dir / f'{self.name}.py'

    def detections(self, kind: str = 'bbox') -> Path:
        """COCO result file of the test, ``'bbox'`` or ``'segm'``."""
        return self.work_dir / f'test.{kind}.json'

    def claim(self) -> None:
        """Write the config into the work dir; a UserError if that is of another or other inputs."""
        self.work_dir.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(self.text.encode())
        for file in self.inputs:
            digest.update(file.read_bytes())
        note, own = self.work_dir / 'fingerprint', digest.hexdigest()[:16]
        if note.exists() and note.read_text().strip() not in ('', own):  # '' by a kill.
            raise UserError(
                f'{self.work_dir} holds a run of another {self.config.name} or other data; '
                'move or delete that folder to run this one'
            )
        note.write_text(own + '\n')
        self.config.write_text(self.text, encoding='utf-8')

    def train(self, threads: int) -> None:
        """Train, or go on where a training was interrupted, unless that is done."""
        if not is_finished(self.checkpoint):
            # Not before there is something to resume: mmdet then forgets the config's load_from.
            resume = ['--resume'] if mend_last_checkpoint(self.work_dir) else []
            self._run(self.training_command(*resume), threads)

    def test(self, threads: int) -> float | None:
        """Test, unless that is done; returns the seconds it took, None if nobody noted them."""
        note = self.work_dir / 'test_seconds'
        if not self.detections().is_file():
            begin = time.monotonic()
            self._run(self.test_command(), threads)
            note.write_text(f'{time.monotonic() - begin:.1f}\n')
            # An interrupted test leaves only a part. Boxes last: they tell that all is there.
            for kind in ('segm', 'bbox'):
                part = self.work_dir / f'test-unfinished.{kind}.json'
                if part.is_file():
                    part.rename(self.detections(kind))
        return float(note.read_text()) if note.is_file() else None

    def training_command(self, *flags: str) -> list[str]:
        """The command line of the training."""
        mmpretrain = ('-m', 'ge_det.cli.train_classifier')
        tool = mmpretrain if self.is_classifier else (str(find_script('train')),)
        if self.scale_rate:
            flags = (*flags, '--auto-scale-lr')
        # MMEngine removes the oldest checkpoint before it writes a new one: with a single one, a
        # kill in between loses all. Not the config's business, and last, for it takes many values.
        keep = ('--cfg-options', 'default_hooks.checkpoint.max_keep_ckpts=2')
        where = (str(self.config), '--work-dir', str(self.work_dir))
        return self.launch.command(tool, *where, *flags, *keep)

    def test_command(self) -> list[str]:
        """The command line of the test."""
        what = (str(self.config), str(self.checkpoint), '--work-dir', str(self.work_dir))
        prefix = f'test_evaluator.outfile_prefix={self.work_dir / "test-unfinished"}'
        return self.launch.command([str(find_script('test'))], *what, '--cfg-options', prefix)

    def failure(self) -> ExperimentError:
        """What went wrong, by the last line of the log that names an error, else the last."""
        file = self.work_dir / 'console.log'
        lines = file.read_text(errors='replace').strip().splitlines() or ['no output']
        # Launchers end with lines of their own.
        errors = [line for line in lines[-200:] if re.match(r'[\w.]*(Error|Exception)\b', line)]
        return ExperimentError(f'{self.name}: {(errors or lines)[-1]} (all of it: {file})')

    def _run(self, command: list[str], threads: int) -> None:
        with (self.work_dir / 'console.log').open('ab') as log:
            # Inheritable files stay open: a lock lives as long as the last who holds it.
            options: dict[str, Any] = dict(close_fds=False, preexec_fn=end_with_parent)
            options.update(stdout=log, stderr=log, env=environment(threads))
            process = subprocess.Popen(command, **options)
        try:
            if process.wait():
                raise self.failure()
        finally:
            process.terminate()
            process.wait()


def is_finished(checkpoint: Path) -> bool:
    """Whether a checkpoint is there, whole, and the newest of its training."""
    note = checkpoint.with_name('last_checkpoint')  # MMEngine writes it after what it names.
    if not (note.is_file() and checkpoint.is_file()):
        return False
    return Path(note.read_text()).name == checkpoint.name


def mend_last_checkpoint(work_dir: Path) -> bool:
    """Have MMEngine's note name the newest checkpoint that is whole; returns whether there is one.

    A kill may leave the note empty, or naming a file that was never finished. Without any whole
    checkpoint, the note is removed.
    """
    note = work_dir / 'last_checkpoint'
    if note.is_file() and _is_whole(Path(note.read_text().strip() or work_dir)):
        return True
    whole = [file for file in work_dir.glob('epoch_*.pth') if _is_whole(file)]
    if not whole:
        note.unlink(missing_ok=True)
        return False
    newest = max(whole, key=lambda file: int(file.stem.removeprefix('epoch_')))
    note.write_text(str(newest))
    return True


def _is_whole(checkpoint: Path) -> bool:
    # torch.save writes a zip file, whose directory comes last.
    return checkpoint.is_file() and zipfile.is_zipfile(checkpoint)
