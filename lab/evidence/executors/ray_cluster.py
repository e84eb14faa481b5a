"""Cells as tasks of a Ray cluster, or of a Ray that is started on this machine."""

from __future__ import annotations

import importlib
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.evidence.matrix.matrix import Cell
from lab.evidence.matrix.run_cell import command
from lab.evidence.matrix.workplace import Workplace
from lab.evidence.matrix.yaml_file import MatrixError

_LEASH = Path(__file__).with_name('leash.py')

# Cells pass nothing through Ray's object store; by default it takes a third of the memory.
_OBJECT_STORE = 100 * 2**20

# Seconds for a task to end, more than the leash gives its command.
_PATIENCE = 60


class RayExecutor:
    """Runs each cell as one task, where Ray finds room for it.

    All nodes must see the project, its Python and the work dirs at the same paths (a shared file
    system with locks): a cell runs in this process's current folder, by the same command line as
    on one machine.

    Args:
        slots (int): How many cells at a time.
        threads (int): CPUs that a cell asks Ray for, and its processes use. Defaults to 1.
        gpus_per_cell (int): GPUs that a cell asks Ray for; it sees no others. Defaults to 0.
        address (str, optional): A running cluster, such as ``'auto'`` or ``'ray://head:10001'``.
            Defaults to None: a Ray of its own on this machine, without usage statistics.

    Raises:
        MatrixError: If Ray is not installed, or there is none at the address.
    """

    def __init__(
        self, slots: int, threads: int = 1, gpus_per_cell: int = 0, address: str | None = None
    ) -> None:
        self.slots = slots
        self.threads = threads
        self._ray = _import_ray()
        try:
            if address is None:
                os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
                self._ray.init(
                    num_cpus=slots * threads,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level='ERROR',
                    object_store_memory=_OBJECT_STORE,
                )
            else:
                _check_answers(address)
                self._ray.init(address=address, log_to_driver=False, logging_level='ERROR')
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            where = 'on this machine' if address is None else f'at {address}'
            reason = ' '.join(str(error).split())
            raise MatrixError(f'Ray {where} cannot be used ({reason}); try `ray status`') from error
        self._task = self._ray.remote(_task()).options(
            num_cpus=threads, num_gpus=gpus_per_cell, max_retries=0
        )

    def close(self) -> None:
        """Leave the cluster, or end the Ray of this machine."""
        self._ray.shutdown()

    def start(self, place: Workplace, cell: Cell, slot: int) -> RayJob:
        """Hand a cell to Ray; it waits there until its CPUs and GPUs are free."""
        folder = place.folder(cell)
        folder.mkdir(parents=True, exist_ok=True)
        log = (folder / 'cell.log').absolute()
        # Isolated: the folder of the script must not shadow modules.
        words = [sys.executable, '-I', str(_LEASH), *command(place, cell, self.threads)]
        return RayJob(self._ray, self._task.remote(words, str(log), os.getcwd()), log)


def _check_answers(address: str) -> None:
    """Raise an OSError if nobody listens there: Ray itself tries for minutes, then ends us."""
    host, _, port = address.rpartition('/')[2].partition(':')
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()


class RayJob:
    """A task that runs a cell."""

    def __init__(self, ray: Any, task: Any, log: Path) -> None:
        self._ray = ray
        self._task = task
        self._log = log
        self._code: int | None = None

    def poll(self) -> int | None:
        """Exit code, None while it runs or waits; 1 if the node or the worker is lost."""
        return self._look(0)

    def stop(self) -> None:
        """End it and its training, and wait until both are gone."""
        if self.poll() is None:
            self._ray.cancel(self._task, force=False)
            if self._look(_PATIENCE) is None:
                self._ray.cancel(self._task, force=True)
                self._look(_PATIENCE)

    def _look(self, timeout: float | None) -> int | None:
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


def _import_ray() -> Any:
    try:
        return importlib.import_module('ray')
    except ImportError as error:
        raise MatrixError("Ray is not installed: pip install 'ge-det[cluster]'") from error


def _task() -> Callable[[list[str], str, str], int]:
    """What workers run; a function within a function travels as it is, without this package."""

    def run(words: list[str], log: str, folder: str) -> int:
        import subprocess
        import time

        with open(log, 'ab') as out:
            process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=out, stderr=out, cwd=folder
            )
        try:
            # Ray cancels by an interrupt, which a single long wait would not notice.
            while process.poll() is None:
                time.sleep(0.2)
            return process.returncode
        finally:
            if process.stdin is not None:
                process.stdin.close()  # The leash ends the cell.
            process.wait()

    return run
