"""Processes of the GPU check: each with its own time limit, its results written as they come."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.gpu.telling import MARK, seconds

LEAST = 20
"""Seconds without which nothing is begun."""

PATIENCE = 5
"""Seconds from an interruption, on which pytest shows what has failed by then, to a kill."""


@dataclass
class Step:
    """One process: a step, or its part for one block."""

    step: str
    name: str
    arguments: Sequence[object]  # Of Python. LIMIT stands for the seconds that it has.
    limit: float
    environment: dict[str, str] = field(default_factory=dict)
    status: str = 'not run'
    seconds: float = 0
    results: list[dict[str, Any]] = field(default_factory=list)
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=3))

    @property
    def bad(self) -> list[str]:
        """What is wrong, one line each."""
        lines = [result['line'] for result in self.results if not result['ok']]
        return lines or (list(self.tail) if self.status.startswith(('failed', 'timeout')) else [])


class Runner:
    """Runs jobs until the time is up.

    Args:
        out (Path): Folder for report.txt, summary.json and log.txt.
        limit (float): Seconds for everything.
        environment (dict): Of all processes.
    """

    def __init__(self, out: Path, limit: float, environment: dict[str, str]) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.limit, self.environment = out, limit, environment
        self.jobs: list[Step] = []
        self._processes: list[subprocess.Popen[str]] = []
        self._lock = threading.RLock()
        self._log = (out / 'log.txt').open('w', encoding='utf-8')
        self._report = (out / 'report.txt').open('w', encoding='utf-8')

    def say(self, text: str) -> None:
        """Print a line, and keep it in the report."""
        with self._lock:
            for file in (sys.stdout, self._report):
                print(f'[{seconds():4.0f}] {text}', file=file, flush=True)

    def save(self) -> None:
        """Write all results there are."""
        with self._lock:
            names = ('step', 'name', 'status', 'seconds', 'results')
            rows = [{name: getattr(job, name) for name in names} for job in self.jobs]
            part = self.out / 'summary.part'
            part.write_text(json.dumps(rows, indent=1), encoding='utf-8')
            part.replace(self.out / 'summary.json')

    def run(self, jobs: Sequence[Step], at_once: int = 1) -> None:
        """Run jobs in their order, some at a time."""
        self.jobs += jobs
        with ThreadPoolExecutor(at_once) as pool:
            try:
                list(pool.map(self._run, jobs))
            except BaseException:  # Interrupted: nothing is left running, nor begun.
                self.limit = 0
                for process in self._processes:
                    _signal(process)
                raise

    def _run(self, job: Step) -> None:
        begin, limit = seconds(), min(job.limit, self.limit - seconds())
        if limit < LEAST:
            job.status = 'no time'
            self.say(f'NO TIME for {job.name}')
            return
        process = subprocess.Popen(
            [sys.executable, *(str(a).replace('LIMIT', str(limit - 4)) for a in job.arguments)],
            env={**self.environment, **job.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors='replace',
            start_new_session=True,
        )
        self._processes.append(process)
        timers = [
            threading.Timer(limit, _signal, [process, signal.SIGINT]),
            threading.Timer(limit + PATIENCE, _signal, [process]),
        ]
        for timer in timers:
            timer.start()
        for line in map(str.rstrip, process.stdout or ()):
            self._read(job, line)
        code = process.wait()
        for timer in timers:
            timer.cancel()
        _signal(process)  # What it may have left running.
        job.seconds = round(seconds() - begin, 1)
        good = code == 0 and all(result['ok'] for result in job.results)
        late = code and job.seconds >= limit
        job.status = 'timeout' if late else 'ok' if good else f'failed ({code})'
        self.say(f'{job.status.upper()} {job.name} after {job.seconds:.0f} s')
        self.save()

    def _read(self, job: Step, line: str) -> None:
        with self._lock:
            print(f'{job.name}| {line[:4000]}', file=self._log, flush=True)
        _, mark, text = line.partition(MARK)  # Others may have written into the line before.
        if not mark:
            job.tail += [line] if line else []
            return
        try:
            result, _ = json.JSONDecoder().raw_decode(text)  # And after it.
        except ValueError:
            result = dict(name='?', line=f'a result that cannot be read: {text}', ok=False)
        job.results.append(result)
        if result['line']:
            self.say(f'{"" if result["ok"] else "BAD "}{job.step}: {result["line"][:900]}')
            self.save()

    def summary(self) -> bool:
        """Say one line a job, all that is bad and what is left; whether nothing is bad."""
        self.say('==== result ====')
        for job in self.jobs:
            said = f': {job.tail[-1]}' if job.tail and not job.results else ''
            self.say(f'{job.status:12} {job.seconds:4.0f} s  {job.name}{said[:100]}')
        bad = [f'BAD {job.name}: {line[:200]}' for job in self.jobs for line in job.bad]
        for line in bad[:25]:
            self.say(line)
        left = dict.fromkeys(
            j.step for j in self.jobs if j.status in ('not run', 'no time', 'timeout')
        )
        if left:
            self.say(f'left: --only {" ".join(left)}')
        self.say(f'{len(bad)} bad lines; all of it in {self.out}')
        self.save()
        return not bad


def _signal(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
