"""One experiment: a config and its work dir, trained and tested by mmdet's own tools.

Each step is a process of its own, resumes after an interruption, and is not run again once done.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ge_det.cli.openmmlab import find_script
from ge_det.errors import CheckpointError, UserError
from ge_det.files import write_whole
from ge_det.weights.training_checkpoint import NOTE, check_resumable, checkpoints, mend_note

from ..results.log import log_files
from ..seal import SEALS, checksum, clear, is_damaged, is_sound, seal, sealed, set_aside, unseal
from .launch import Launch, end_with_parent, environment

#: What stays in a work dir when the run in it is set aside.
_KEPT = ('lock', 'training.lock', 'cell.log', 'console.log', SEALS)


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
    is_control: bool = False  # Tested only, with weights trained elsewhere.

    @property
    def config(self) -> Path:
        """The config file."""
        return self.work_dir / f'{self.name}.py'

    def detections(self, kind: str = 'bbox') -> Path:
        """COCO result file of the test, ``'bbox'`` or ``'segm'``."""
        return self.work_dir / f'test.{kind}.json'

    def claim(self) -> None:
        """Write the config into the work dir; a UserError if that is of another or other inputs."""
        folder, note = self.work_dir, self.work_dir / 'fingerprint'
        folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(self.text.encode('utf-8'))
        for file in self.inputs:
            digest.update(file.read_bytes())
        own = f'{digest.hexdigest()[:16]}\n'.encode()
        found = note.read_bytes() if note.is_file() else b''
        if found != own and checksum(folder, note) == hashlib.sha256(own).hexdigest():
            set_aside(folder, note, 'its checksum tells what it was')
        elif found != own:
            is_known = re.fullmatch(rb'[0-9a-f]{16}\n', found) and not is_damaged(folder, note)
            if is_known and not self.is_control:
                raise UserError(
                    f'{folder} holds a run of another {self.config.name} or other data; '
                    'move or delete that folder to run this one'
                )
            note.unlink(missing_ok=True)
            clear(folder, _KEPT, 'the run begins anew')
        write_whole(note, own)
        seal(folder, [note])
        write_whole(self.config, self.text.encode('utf-8'))

    def train(self, threads: int) -> None:
        """Train, or go on where a training was interrupted, unless that is done."""
        if not is_sound(self.checkpoint):
            self._forget_test('of weights that are trained again')
            # Not before there is something to resume: mmdet then forgets the config's load_from.
            resume = ['--resume'] if find_resumable(self.work_dir) else []
            self._seal_logs()
            unseal(self.work_dir, [self.work_dir / 'sessions.jsonl'])  # It is added to.
            self._run(self.training_command(*resume), threads)
            if not is_sound(self.checkpoint):
                log = self.work_dir / 'console.log'
                lacks = f'{self.checkpoint.name} is not there or not whole'
                raise ExperimentError(f'{self.name}: its training ended, but {lacks} (see {log})')
        self._seal_logs()

    def train_last_epoch(self, threads: int) -> None:
        """Train the last epoch again, for the log does not have its end."""
        then, why = 'the epoch is trained again', 'its log does not reach its end'
        set_aside(self.work_dir, self.checkpoint, then, why)
        self.train(threads)

    def _seal_logs(self) -> None:
        """Seal what the training has written; logs that are sealed do not change any more."""
        logs, known = log_files(self.work_dir), sealed(self.work_dir)
        for file in known:
            if file.parent.name == 'vis_data' and is_damaged(self.work_dir, file):
                set_aside(self.work_dir, file, 'what its twin has is taken')
        sessions = self.work_dir / 'sessions.jsonl'
        if is_damaged(self.work_dir, sessions):
            set_aside(self.work_dir, sessions, 'where it was trained is told of this machine')
        seal(self.work_dir, {*logs, sessions} - known)

    def test(self, threads: int) -> float | None:
        """Test, unless that is done; returns the seconds it took, None if nobody noted them."""
        note, files = self.work_dir / 'test_seconds', [*map(self.detections, ('segm', 'bbox'))]
        if not self._is_tested():
            self._forget_test('not as it was written')
            begin = time.monotonic()
            self._run(self.test_command(), threads)
            write_whole(note, f'{time.monotonic() - begin:.1f}\n'.encode())
            unseal(self.work_dir, [note])
            # An interrupted test leaves only a part. Boxes last: they tell that all is there.
            for file in files:
                part = file.with_name(file.name.replace('test', 'test-unfinished'))
                if part.is_file():
                    part.replace(file)
        seal(self.work_dir, files)
        return self._test_seconds(note)

    def _is_tested(self) -> bool:
        """Whether all detections are there, as they were written as far as that is known."""
        boxes, masks, known = self.detections(), self.detections('segm'), sealed(self.work_dir)
        return boxes.is_file() and not any(
            is_damaged(self.work_dir, file)
            if file in known
            else file.is_file() and not _is_list(file)
            for file in (boxes, masks)
        )

    def _forget_test(self, why: str) -> None:
        for file in map(self.detections, ('bbox', 'segm')):
            if file.exists() or file in sealed(self.work_dir):
                set_aside(self.work_dir, file, 'the test is run again', why)

    def _test_seconds(self, note: Path) -> float | None:
        if not note.is_file() and note not in sealed(self.work_dir):
            return None  # Killed before it was written, or a run of former times.
        with contextlib.suppress(OSError, ValueError):
            if not is_damaged(self.work_dir, note):
                seconds = float(note.read_text(encoding='utf-8'))
                seal(self.work_dir, [note])
                return seconds
        set_aside(self.work_dir, note, 'the time of the test is not told')
        return None

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
        lines = file.read_text(encoding='utf-8', errors='replace').strip().splitlines() or [
            'no output'
        ]
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


def find_resumable(work_dir: Path) -> bool:
    """Whether MMEngine's note names a checkpoint to go on from; others are set aside."""
    for file in checkpoints(work_dir):
        try:
            check_resumable(file)
        except CheckpointError:
            set_aside(work_dir, file, 'the training goes on from before it')
    if not checkpoints(work_dir):
        (work_dir / NOTE).unlink(missing_ok=True)
        return False
    mend_note(work_dir)
    return True


def _is_list(file: Path) -> bool:
    """Whether a file holds a list as JSON."""
    try:
        return isinstance(json.loads(file.read_bytes()), list)
    except (ValueError, RecursionError):
        return False
