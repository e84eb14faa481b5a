"""Cells as processes of this machine, each on its own cores or its own GPU."""

from __future__ import annotations

import os
import signal
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.cores import cores, pin

from ..training.launch import end_with_parent, environment

_PATIENCE = 60  # Seconds that a cell may take to end.


@dataclass
class LocalExecutor:
    """Runs so many cells at a time."""

    slots: int
    threads: int = 1  # Of each process; a slot has as many cores of its own while there are enough.
    gpus: Sequence[str] = ()  # Names of those to use, see `ge_det.compare.running`.
    gpus_per_cell: int = 1

    def start(self, command: Sequence[str], log: Path, slot: int) -> LocalJob:
        """Start a command in a process of its own."""
        variables = environment()
        if self.gpus:
            own = self.gpus[slot * self.gpus_per_cell : (slot + 1) * self.gpus_per_cell]
            variables['CUDA_VISIBLE_DEVICES'] = ','.join(own)
        # Trainings of several processes meet at a port, which two on one node must not share.
        port = 20_000 + zlib.crc32(log.parent.name.encode()) % 20_000
        variables.setdefault('MASTER_PORT', str(port))
        with log.open('ab') as out:
            # A session of its own: Ctrl-C is for us, who stop it.
            options: dict[str, Any] = dict(start_new_session=True, preexec_fn=end_with_parent)
            process = subprocess.Popen(command, stdout=out, stderr=out, env=variables, **options)
        here = cores()
        if not self.gpus and self.slots * self.threads <= len(here):
            pin(process.pid, here[slot * self.threads : (slot + 1) * self.threads])
        return LocalJob(process)

    def close(self) -> None:
        """Nothing is held between cells."""


@dataclass(frozen=True)
class LocalJob:
    """A process that runs a cell."""

    process: subprocess.Popen[bytes]

    def poll(self) -> int | None:
        """Exit code, None while it runs."""
        return self.process.poll()

    def stop(self) -> None:
        """End it, which ends its training, and wait until both are gone."""
        self.process.terminate()
        try:
            self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)  # Its session is its own.
            self.process.wait()
