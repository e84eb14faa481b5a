"""Tell what a working detector needs, what is there, and the one command that mends what is not.

    ge-det doctor              every piece
    ge-det doctor mmcv mmdet   only these

Each piece is tried in a process of its own, so one that raises, crashes or hangs on import cannot
hide the others. The exit status is 1 when a detector cannot be trained here, 0 otherwise.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import metadata

from ge_det.cli.pieces import CHECKS, CHILD, Check

# Of mmcv, against the torch in use: no isolation, no cached wheel.
COMPILING = 'CFLAGS=-g0 MMCV_WITH_OPS=1 ', '--no-build-isolation --no-cache-dir '
ORIGINALS = ('mmengine', 'mmcv', 'mmcv-lite', 'mmdet', 'mmpretrain')
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
        line = f'{self.name:<12} {self.version:<36} {self.status:<4} {self.error}'.rstrip()
        return f'{line}\n{"":<12} mend: {self.mend}' if self.mend else line


# Symptoms that some other piece than the one that shows them may be to blame for, and that piece.
CAUSES = {
    'torchvision': 'torchvision',
    "No module named 'pkg_resources'": 'setuptools',
    'libGL': 'opencv',
    'mmcv._ext': 'mmcv',
    'MMCV==': 'mmcv',
}


def installed(names: Iterable[str]) -> dict[str, str]:
    """The versions of those of the distributions that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def requirement(name: str) -> str:
    """What our own metadata asks of a distribution, quoted for the shell.

    Without metadata, as in a checkout that is not installed, it is the bare name.
    """
    try:
        ours = metadata.requires('ge-det') or []
    except metadata.PackageNotFoundError:
        ours = ['setuptools<82']  # Newer ones lack what MMEngine needs.
    wanted = [line.partition(';')[0].strip() for line in ours]
    return shlex.quote(next((w for w in wanted if re.split('[<>=~!]', w)[0] == name), name))


def mend(check: Check, error: str) -> str:
    """The one command that mends a failed check."""
    forks = bool(installed(name for c in CHECKS for name in c.distributions if 'onedl' in name))
    cause = next((piece for symptom, piece in CAUSES.items() if symptom in error), check.name)
    if 'MMCV==' in error and forks:
        cause = 'mmdet'  # The original, left beside the forks.
    if cause == 'CUDA':
        cause = 'torch'  # Only a torch that fails altogether makes this one fail.
    check = next(c for c in CHECKS if c.name == cause)
    if check.name == 'python':
        return 'make PYTHON=/path/to/python3.11 setup'

    pip = f'{shlex.quote(sys.executable)} -m pip'
    if check.name == 'family':
        return _one_family(pip)
    there = installed(check.distributions)
    if check.optional:
        return f'{pip} uninstall -y {check.distributions[0]}'
    if check.name == 'opencv' and there:
        return f'{pip} install --force-reinstall --no-deps opencv-python-headless'
    # By itself pip adds what is missing or too old, but leaves alone what is there and broken.
    lacking = 'is needed' in error or ('No module named' in error and 'mmcv._ext' not in error)
    options = '--force-reinstall --no-deps ' if there and not lacking else ''
    environment = ''
    if check.name == 'mmcv':
        environment, compiling = COMPILING
        options += compiling
    family = [name for name in check.distributions if name.startswith('onedl') == forks]
    wanted = requirement((family or check.distributions)[0])
    return f'{environment}{pip} install {options}{wanted}'


def _one_family(pip: str) -> str:
    """Remove the originals, and install again the forks, which lose files by that."""
    there = installed(name for check in CHECKS for name in check.distributions)
    forks = [name for name in there if name.startswith('onedl')]
    originals = [name for name in there if name in ORIGINALS]
    environment, compiling = COMPILING
    again = f'{environment}{pip} install --force-reinstall --no-deps {compiling}{" ".join(forks)}'
    return f'{pip} uninstall -y {" ".join(originals)} && {again}'


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
    wanted = parser.parse_args(argv).piece or names
    if unknown := sorted(set(wanted) - set(names)):
        parser.error(f'no piece is called {", ".join(unknown)}; there are {", ".join(names)}')

    sound = True
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        checks = [check for check in CHECKS if check.name in wanted]
        waiting = [check.name for check in checks if check.needs_torch]
        has_torch = True
        for result in pool.map(examine, checks):
            is_broken = result.status == 'FAIL' and result.error != 'is not installed'
            if is_broken and result.name in waiting and not has_torch:
                result = replace(result, error='waits for torch', mend='')
            print(result, flush=True)
            sound &= result.status != 'FAIL'
            has_torch &= (result.name, result.status) != ('torch', 'FAIL')
    return 0 if sound else 1


if __name__ == '__main__':
    sys.exit(main())
