"""Cells as tasks of a Ray cluster, or of a Ray that is started on this machine."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ge_det.errors import UserError, one_line

from ..training.launch import end_with_parent, environment

_PATIENCE = 60  # Seconds for a task to end.


class RayExecutor:
    """Runs each cell as one task, where Ray finds room for it.

    All nodes must see the project, its Python and the work dirs at the same paths (a shared file
    system with locks). A cell asks Ray for as many CPUs as it has threads, and for GPUs; it sees no
    others. ``address`` is a running cluster, such as ``'auto'`` or ``'ray://head:10001'``, or None
    for a Ray of its own on this machine, without usage statistics.
    """

    def __init__(
        self, slots: int, threads: int = 1, gpus_per_cell: int = 0, address: str | None = None
    ) -> None:
        self.slots, self.threads = slots, threads
        try:
            self._ray: Any = importlib.import_module('ray')
        except ImportError as error:
            raise UserError("Ray is not installed: pip install '.[lab]'") from error
        variables = dict(env_vars=dict(PYTHONPATH=environment()['PYTHONPATH']))
        options: dict[str, Any] = dict(log_to_driver=False, logging_level='ERROR')
        try:
            if address is not None:
                _check_answers(address)
                options['address'] = address
            else:
                os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
                # Cells pass nothing through the object store, by default a third of the memory.
                options.update(num_cpus=slots * threads, object_store_memory=100 * 2**20)
                options['include_dashboard'] = False
            self._ray.init(runtime_env=variables, **options)
        except (RuntimeError, ValueError, OSError) as error:
            where = f'at {address}' if address else 'on this machine'
            told = f'Ray {where} cannot be used ({one_line(error)}); try `ray status`'
            raise UserError(told) from error
        asked = dict(num_cpus=threads, num_gpus=gpus_per_cell, max_retries=0)
        self._task = self._ray.remote(_run).options(**asked)

    def close(self) -> None:
        """Leave the cluster, or end the Ray of this machine."""
        self._ray.shutdown()

    def start(self, command: Sequence[str], log: Path, slot: int) -> RayJob:
        """Hand a command to Ray; it waits there until its CPUs and GPUs are free."""
        task = self._task.remote(list(command), str(log.absolute()), os.getcwd())
        return RayJob(self._ray, task, log)


@dataclass
class RayJob:
    """A task that runs a cell."""

    _ray: Any
    _task: Any
    _log: Path
    _code: int | None = None

    def poll(self, timeout: float = 0) -> int | None:
        """Exit code, None while it runs or waits; 1 if the node or the worker is lost."""
        if self._code is None:
            try:
                if self._ray.wait([self._task], timeout=timeout)[0]:
                    self._code = self._ray.get(self._task)
            except self._ray.exceptions.TaskCancelledError:
                self._code = 143
            except Exception as error:  # Whatever befalls a cluster, it is this cell's failure.
                self._code = 1
                lines = str(error).strip().splitlines() or ['']
                with self._log.open('a', encoding='utf-8') as log:
                    log.write(f'ray: {type(error).__name__}: {lines[-1]}\n')
        return self._code

    def stop(self) -> None:
        """End it and its training, and wait until both are gone."""
        for force in (False, True):
            if self.poll() is None:
                self._ray.cancel(self._task, force=force)
                self.poll(_PATIENCE)


def _check_answers(address: str) -> None:
    """Raise an OSError if nobody listens there: Ray itself tries for minutes, then ends us."""
    host, _, port = address.rpartition('/')[2].partition(':')
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()


def _run(command: list[str], log: str, folder: str) -> int:
    """What workers run; a worker that is killed takes the command and its training with it."""
    with open(log, 'ab') as out:
        options: dict[str, Any] = dict(cwd=folder, preexec_fn=end_with_parent)
        process = subprocess.Popen(command, stdout=out, stderr=out, **options)
    try:
        # Ray cancels by an interrupt, which a single long wait would not notice.
        while process.poll() is None:
            time.sleep(0.2)
        return process.returncode
    finally:
        process.terminate()
        process.wait()
