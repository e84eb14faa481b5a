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

TIMEOUT = 300  # Seconds; the first import of torch from a network drive can take minutes.


@dataclass(frozen=True)
class Check:
    """One piece and how to try it.

    Args:
        name: What the report calls it.
        distributions: Names it can be installed under, the original first.
        module: What has to import. Empty for what is no module or is never imported.
        probe: Python that raises if the piece is unfit. It finds the module as ``module`` and may
            set ``version``, ``note`` (shown behind the version) and ``absent``.
        optional: Whether its absence is fine.
        needs_torch: Whether it cannot be tried without a torch that works.
    """

    name: str
    distributions: tuple[str, ...] = ()
    module: str = ''
    probe: str = ''
    optional: bool = False
    needs_torch: bool = False


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


CHECKS = (
    Check(
        'python',
        probe="""
version, note = sys.version.split()[0], '3.10 to 3.12 are fine'
needed = 'Python 3.10 to 3.12 is needed'
assert sys.version_info >= (3, 10), needed
if sys.version_info >= (3, 13):
    import importlib.util
    assert importlib.util.find_spec('mmcv'), needed + ': mmcv 2.1.0 does not build on newer ones'
""",
    ),
    Check('setuptools', ('setuptools',), 'setuptools', 'import pkg_resources'),
    Check('numpy', ('numpy',), 'numpy'),
    Check(
        'torch',
        ('torch',),
        'torch',
        """
module.ones(2).sum()
assert tuple(map(int, version.split('.')[:2])) >= (2, 6), 'torch 2.6 or newer is needed'
""",
    ),
    Check(
        'CUDA',
        probe="""
try:
    import torch
    absent = not torch.cuda.is_available()
    version = torch.version.cuda or ''
    note = '' if absent else torch.cuda.get_device_name()
except Exception:
    absent = True
""",
        optional=True,
        needs_torch=True,
    ),
    Check('opencv', ('opencv-python', 'opencv-python-headless'), 'cv2'),
    Check('pycocotools', ('pycocotools',), 'pycocotools.mask'),
    Check('mmengine', ('mmengine', 'onedl-mmengine'), 'mmengine', needs_torch=True),
    Check(
        'mmcv',
        ('mmcv', 'onedl-mmcv', 'mmcv-lite'),
        'mmcv',
        """
import torch
from mmcv.ops import nms
device = 'cuda' if torch.cuda.is_available() else 'cpu'
nms(torch.eye(4, device=device), torch.ones(4, device=device), 0.5)
note = 'ops on ' + device
""",
        needs_torch=True,
    ),
    # Its import checks the versions of mmcv and mmengine.
    Check(
        'mmdet', ('mmdet', 'onedl-mmdetection'), 'mmdet', 'import mmdet.models', needs_torch=True
    ),
    # Only its weights are used. The module needs torchvision; nothing here imports it.
    Check('mmpretrain', ('mmpretrain', 'onedl-mmpretrain'), optional=True),
    Check('torchvision', ('torchvision',), 'torchvision', optional=True, needs_torch=True),
)

# What the process of a check runs. Its last line is the answer; others are the module's own.
CHILD = """
import importlib, json, sys
name, probe = sys.argv[1:]
sys.path[:] = [entry for entry in sys.path if entry]  # else a checkout of mmcv here would hide mmcv
version, note, absent = '', '', False
if name:
    module = importlib.import_module(name)
    version = getattr(module, '__version__', '')
exec(probe)
print('\\n' + json.dumps({'version': version, 'note': note, 'absent': absent}))
"""

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
    there = installed(check.distributions)
    if check.optional:
        return f'{pip} uninstall -y {check.distributions[0]}'
    if check.name == 'opencv' and there:
        return f'{pip} install --force-reinstall --no-deps opencv-python-headless'
    # By itself pip adds what is missing or too old, but leaves alone what is there and broken.
    lacking = 'is needed' in error or ('No module named' in error and 'mmcv._ext' not in error)
    options = '--force-reinstall --no-deps ' if there and not lacking else ''
    environment = ''
    if check.name == 'mmcv':  # Compiled against the torch in use: no isolation, no cached wheel.
        environment = 'CFLAGS=-g0 MMCV_WITH_OPS=1 '
        options += '--no-build-isolation --no-cache-dir '
    family = [name for name in check.distributions if name.startswith('onedl') == forks]
    wanted = requirement((family or check.distributions)[0])
    return f'{environment}{pip} install {options}{wanted}'


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
