"""How a process is started: one, several on GPUs of this machine, or a step of Slurm."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[3]
_PR_SET_PDEATHSIG = 1
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == 'linux' else None


@dataclass(frozen=True)
class Launch:
    """What stands around the tool in a command line: up to and with python, and more flags."""

    before: tuple[str, ...] = (sys.executable,)
    after: tuple[str, ...] = ()

    def command(self, tool: Sequence[str], *arguments: str) -> list[str]:
        """A whole command line; MMEngine's flags come before those that take many values."""
        return [*self.before, *tool, *arguments[:1], *self.after, *arguments[1:]]

    @classmethod
    def gpus(cls, count: int) -> Launch:
        """On several GPUs of this machine, by torchrun."""
        torchrun = ('-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={count}')
        return cls((sys.executable, *torchrun), ('--launcher', 'pytorch'))

    @classmethod
    def slurm(cls, partition: str, gpus: int, extra: Sequence[str] = ()) -> Launch:
        """As a job step of Slurm on nodes of 8 GPUs, with further options of ``srun``."""
        here = min(gpus, 8)
        srun = ['srun', f'--partition={partition}', f'--gres=gpu:{here}', f'--ntasks={gpus}']
        srun += [f'--ntasks-per-node={here}', '--cpus-per-task=5', '--kill-on-bad-exit=1']
        return cls((*srun, *extra, sys.executable, '-u'), ('--launcher', 'slurm'))


def environment(threads: int | None = None) -> dict[str, str]:
    """Variables of a process that imports the lab, wherever it runs."""
    found = dict(os.environ)
    found['PYTHONPATH'] = os.pathsep.join(filter(None, [str(_ROOT), found.get('PYTHONPATH')]))
    if threads:
        found.update(OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    return found


def end_with_parent() -> None:
    """Have this process ended when its parent is gone, however that came about; on Linux.

    For ``preexec_fn``: a parent that is killed, as Ray kills its workers, would else leave a
    training behind that goes on without its cell.
    """
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGTERM)
