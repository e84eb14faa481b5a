"""Command lines of Python run in forks of this process, which has imported what takes long.

For trying what a command does, again and again. That a new interpreter finds all it needs is for
others to test.
"""

from __future__ import annotations

import os
import random
import runpy
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from multiprocessing import Process
from typing import Any

import numpy as np
import torch
from mmdet.utils import register_all_modules


class ForkedPython(subprocess.Popen):
    """A process as `subprocess` starts it; one of this Python's modules or files is a fork."""

    def _execute_child(self, args: Any, executable: Any, preexec_fn: Any, *more: Any) -> None:
        _, pass_fds, cwd, env, *_ = more
        words = [args] if isinstance(args, str) else [os.fspath(word) for word in args]
        is_ours = words[0] == sys.executable and (words[1] == '-m' or words[1][0] != '-')
        # No fork of a process with a GPU can use it.
        if not is_ours or pass_fds or torch.cuda.is_available():
            super()._execute_child(args, executable, preexec_fn, *more)  # type: ignore[misc]
            return
        pipes, has_session = more[7:13], more[18]
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                _connect(*pipes)
                if has_session:
                    os.setsid()
                if preexec_fn is not None:
                    preexec_fn()
                # As multiprocessing's own forks begin and end; nothing runs at exit.
                process: Any = Process(target=_run, args=(words[1:], cwd, env))
                code = process._bootstrap()
            finally:
                os._exit(code)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def _connect(in_read: int, in_write: int, out_read: int, out_write: int, *errors: int) -> None:
    """Have the standard streams of a child lead where its parent has them."""
    error_read, error_write = errors
    for stream, file in enumerate((in_read, out_write, error_write)):
        if file != -1:
            os.dup2(file, stream)
    for file in {in_write, out_read, error_read} - {-1}:
        os.close(file)


def _run(words: Sequence[str], cwd: Any, env: Mapping[str, str] | None) -> None:
    """Do what a new Python would do, as far as its output can tell."""
    if env is not None:
        os.environ.clear()
        os.environ.update(env)
    if cwd is not None:
        os.chdir(cwd)
    sys.stdout, sys.stderr = (os.fdopen(file, 'w', 1, 'utf-8', closefd=False) for file in (1, 2))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if callable(signal.getsignal(number)):
            is_first = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if is_first else signal.SIG_DFL)
    warnings.simplefilter('ignore')  # Of a module that runs a second time.
    random.seed()
    np.random.seed()
    torch.seed()
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', '1')))
    is_module = words[0] == '-m'
    sys.argv = list(words[is_module:])
    if is_module:
        runpy.run_module(words[1], run_name='__main__', alter_sys=True)
    else:
        sys.path.insert(0, os.path.dirname(os.path.abspath(words[0])))
        runpy.run_path(words[0], run_name='__main__')


@cache
def _import_what_takes_long() -> None:
    """What trainings would import one after the other; mmdet and its tools take torch along."""
    register_all_modules(init_default_scope=False)
    for name in ('mmdet.apis', 'torch._dynamo', 'torch.utils.cpp_extension'):
        import_module(name)


@contextmanager
def forked_python() -> Iterator[None]:
    """Have `subprocess`, and so all that uses it here and in the forks, start forks."""
    _import_what_takes_long()
    before = subprocess.Popen
    subprocess.Popen = ForkedPython  # type: ignore[misc]
    try:
        yield
    finally:
        subprocess.Popen = before  # type: ignore[misc]
