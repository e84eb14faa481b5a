"""The report of a training, at its end."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ge_det.errors import one_line
from ge_det.registry import HOOKS

# What says that a process trains together with others; the report's is alone.
_OF_LAUNCHERS = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE', 'MASTER_ADDR',
                 'MASTER_PORT', 'GROUP_RANK', 'ROLE_RANK')  # fmt: skip
_PREFIXES = ('SLURM_', 'OMPI_', 'TORCHELASTIC_')


@HOOKS.register_module()
class WriteReport(Hook):
    """Writes the report of a training when it has ended, as ``ge-det report WORK_DIR`` does.

    In a process of its own, which the first of several that train together starts when it needs the
    others no more. A report that fails is a line; the training has not failed.

    In a config: ``default_hooks = dict(report=dict(type='ge_det.WriteReport'))``.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self._has_trained = False

    def after_train(self, runner: Runner) -> None:
        """Note that it was a training that ends."""
        self._has_trained = True

    def after_run(self, runner: Runner) -> None:
        """Write the report of a training."""
        if not self._has_trained or not is_main_process():
            return
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # The other process needs memory there, too.
        command = [sys.executable, '-m', 'ge_det', 'report', str(runner.work_dir)]
        try:
            code = subprocess.run(command, env=_alone(os.environ), check=False).returncode
        except OSError as error:
            runner.logger.warning(f'no report of the training: {one_line(error)}')
            return
        if code:
            runner.logger.warning(
                f'no report of the training (exit code {code}); `ge-det report {runner.work_dir}` '
                'tries it again'
            )


def _alone(environment: Any) -> dict[str, str]:
    """The variables of a process that trains with no others."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _OF_LAUNCHERS and not name.startswith(_PREFIXES)
    }
