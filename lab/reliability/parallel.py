"""Several tries at a time."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from tqdm import tqdm  # type: ignore[import-untyped]

_Task = TypeVar('_Task')
_Result = TypeVar('_Result')


def in_parallel(
    work: Callable[[_Task], _Result], tasks: Sequence[_Task], jobs: int
) -> list[_Result]:
    """Do something to all tasks, in forks of this process, with progress.

    Args:
        work (callable): A function of a module; its results must pickle.
        tasks (Sequence): Its arguments.
        jobs (int): How many at a time.

    Returns:
        list: Results in the order of the tasks.
    """
    context = multiprocessing.get_context('fork')
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        results = pool.map(work, tasks)
        shown = tqdm(results, total=len(tasks), leave=False, disable=not sys.stderr.isatty())
        return list(shown)
