"""Tell what a working detector needs, what is there, and the one command that mends what is not.

    ge-det doctor              every piece
    ge-det doctor mmcv mmdet   only these

Each piece is tried in a process of its own, so one that raises, crashes or hangs on import cannot
hide the others. The exit status is 1 when a detector cannot be trained here, 0 otherwise. Where
nothing of OpenMMLab is installed only the blocks are to work: it is 0 when they do.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from ge_det.cli.mending import has_detection, instead, mend, mend_at_once
from ge_det.cli.pieces import CHECKS, CHILD, Check
from ge_det.cli.requirements import installed, requirement, suits

TIMEOUT = 300  # Seconds; the first import of torch from a network drive can take minutes.


@dataclass(frozen=True)
class Result:
    """What became of a check; ``status`` is ``'ok'``, ``'-'`` (absent, and fine) or ``'FAIL'``."""

    name: str
    status: str
    version: str = ''
    error: str = ''
    mend: str = ''

    def __str__(self) -> str:
        """One line, and below it the command when there is something to mend."""
        line = f'{self.name:<17} {self.version:<31} {self.status:<4} {self.error}'.rstrip()
        return f'{line}\n{"":<17} mend: {self.mend}' if self.mend else line


def examine(check: Check) -> Result:
    """Try one piece in a process of its own."""
    found = installed(check.distributions)
    version = ', '.join(found.values())

    def failed(error: str, context: str = '') -> Result:
        return Result(check.name, 'FAIL', version, error, mend(check, context + error))

    top = check.module.partition('.')[0]
    if not (importlib.util.find_spec(top) if top else found or check.probe):
        return Result(check.name, '-') if check.optional else failed('is not installed')

    command = [sys.executable, '-W', 'ignore', '-c', CHILD, check.module, check.probe]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return failed(f'gave no answer in {TIMEOUT} s')
    if child.returncode < 0:
        return failed(f'crashed with {signal.Signals(-child.returncode).name}')
    if child.returncode > 0:
        said = child.stderr.strip() or f'ended with status {child.returncode}'
        return failed(said.splitlines()[-1], said)
    try:
        answer = json.loads(child.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return failed('ended without an answer')

    unfit = [name for name, there in found.items() if not suits(name, there)]
    if check.within_range and unfit:
        return failed(f'{requirement(unfit[0])} is needed')

    forks = [name for name in found if name != check.distributions[0]]
    notes = ', '.join(filter(None, [*forks, answer['note']]))
    version = ' '.join(filter(None, [answer['version'] or version, notes and f'({notes})']))
    return Result(check.name, '-' if answer['absent'] else 'ok', version)


def main(argv: Sequence[str] | None = None) -> int:
    """Report on the pieces named on the command line, or on all of them."""
    parser = argparse.ArgumentParser(prog='ge-det doctor', description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    names = [check.name for check in CHECKS]
    parser.add_argument('piece', nargs='*', help=f'one of {", ".join(names)}')
    asked = parser.parse_args(argv).piece
    wanted = asked or names
    if unknown := sorted(set(wanted) - set(names)):
        parser.error(f'no piece is called {", ".join(unknown)}; there are {", ".join(names)}')

    sound, other, missing = True, instead(), list[str]()
    is_core = not (asked or other or has_detection()) and bool(installed(['torch']))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        checks = [check for check in CHECKS if check.name in wanted]
        has_torch = True
        for check, result in zip(checks, pool.map(examine, checks)):  # noqa: B905  Python 3.9.
            if result.status == 'FAIL':
                is_missing = result.error == 'is not installed'
                if check.needs_torch and not has_torch and not is_missing:
                    result = replace(result, error='waits for torch', mend='')
                if not check.is_core:
                    missing += [check.name] * is_missing
                    if is_core:
                        result = replace(result, status='-', mend='')
                has_torch &= check.name != 'torch'
            print(replace(result, mend='') if other else result, flush=True)
            sound &= result.status != 'FAIL'
    if other and not sound:
        print(other)
    elif is_core and missing:
        print(f'the blocks need no more; detectors of mmdet do: {mend_at_once(missing)}')
    elif len(missing) > 1 and has_torch:
        print(f'all that is missing at once: {mend_at_once(missing)}')
    return 0 if sound else 1


if __name__ == '__main__':
    sys.exit(main())
