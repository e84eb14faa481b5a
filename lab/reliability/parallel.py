"""Several tries at a time."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.queues import SimpleQueue
from typing import TypeVar

from tqdm import tqdm  # type: ignore[import-untyped]

_Task = TypeVar('_Task')
_Result = TypeVar('_Result')


def in_parallel(
    work: Callable[[_Task], _Result], tasks: Sequence[_Task], jobs: int
) -> list[_Result]:
    """Do something to all tasks, in forks of this process, each on a core of its own.

    Args:
        work (callable): A function of a module; its results must pickle.
        tasks (Sequence): Its arguments.
        jobs (int): How many at a time.

    Returns:
        list: Results in the order of the tasks.
    """
    context = multiprocessing.get_context('fork')
    free, cores = context.SimpleQueue(), sorted(os.sched_getaffinity(0))
    for index in range(jobs):
        free.put(cores[index % len(cores)])
    with ProcessPoolExecutor(jobs, context, _take_core, (free,)) as pool:
        results = pool.map(work, tasks)
        shown = tqdm(results, total=len(tasks), leave=False, disable=not sys.stderr.isatty())
        return list(shown)


def _take_core(free: SimpleQueue[int]) -> None:
    # tools/reproduce.py gives its first cell the first core it has: else all would share one.
    os.sched_setaffinity(0, {free.get()})
