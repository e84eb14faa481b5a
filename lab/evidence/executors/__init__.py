"""Ways to run the cells of a matrix: processes of this machine, Slurm steps, or a Ray cluster."""

from .local import LocalExecutor, visible_gpus
from .loop import Executor, Outcome, run_cells

__all__ = ['Executor', 'LocalExecutor', 'Outcome', 'run_cells', 'visible_gpus']
