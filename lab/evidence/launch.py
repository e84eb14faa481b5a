"""How a training is started: one process, several GPUs of this machine, or Slurm."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Launch:
    """What stands around the tool in a command line.

    Args:
        before (tuple[str, ...]): Up to and including python.
        after (tuple[str, ...]): Flags for the tool.
    """

    before: tuple[str, ...] = (sys.executable,)
    after: tuple[str, ...] = ()

    def command(self, tool: str, *arguments: str) -> list[str]:
        """A whole command line; MMEngine's flags come before those that take many values."""
        module = [tool]
        rest = list(arguments)
        if tool == '-m':
            module.append(rest.pop(0))
        return [*self.before, *module, *rest[:1], *self.after, *rest[1:]]

    @classmethod
    def gpus(cls, count: int) -> Launch:
        """On several GPUs of this machine, by torchrun."""
        torchrun = ('-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={count}')
        return cls((sys.executable, *torchrun), ('--launcher', 'pytorch'))

    @classmethod
    def slurm(
        cls, partition: str, gpus: int, per_node: int = 8, extra: Sequence[str] = ()
    ) -> Launch:
        """As a job step of Slurm, which this process waits for.

        Args:
            partition (str): Where it runs.
            gpus (int): In all.
            per_node (int): On each node at most. Defaults to 8.
            extra (Sequence[str]): Further options of ``srun``.
        """
        here = min(gpus, per_node)
        srun = (
            'srun',
            f'--partition={partition}',
            f'--gres=gpu:{here}',
            f'--ntasks={gpus}',
            f'--ntasks-per-node={here}',
            '--cpus-per-task=5',
            '--kill-on-bad-exit=1',
            *extra,
        )
        return cls((*srun, sys.executable, '-u'), ('--launcher', 'slurm'))
