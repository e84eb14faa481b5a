"""The command that mends what the doctor found missing or broken."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from ge_det.cli.pieces import CHECKS, Check
from ge_det.cli.requirements import CHECKOUT, installed, requirement
from ge_det.compat.extras import STACK

# Of mmcv, against the torch in use: no isolation, no cached wheel.
_COMPILING = 'CFLAGS=-g0 MMCV_WITH_OPS=1 ', '--no-build-isolation --no-cache-dir '
_ORIGINALS = ('mmengine', 'mmcv', 'mmcv-lite', 'mmdet', 'mmpretrain')

# Symptoms that some other piece than the one that shows them may be to blame for, and that piece.
_CAUSES = {
    'torchvision': 'torchvision',
    "No module named 'pkg_resources'": 'setuptools',
    'libGL': 'opencv',
    'mmcv._ext': 'mmcv',
    'MMCV==': 'mmcv',
}


def instead() -> str:
    """What to do where this Python is not to be mended; '' where it is.

    A checkout has a Python of its own, or gets it by one command, and the system's takes nothing.
    """
    own = CHECKOUT / '.venv'
    python = own / 'bin' / 'python'
    if (
        not (CHECKOUT / 'tools' / 'setup.sh').exists()
        or own.resolve() == Path(sys.prefix).resolve()
    ):
        return ''
    lacks_all = importlib.util.find_spec('torch') is None
    if python.exists() and (lacks_all or importlib.util.find_spec('mmdet') is None):
        shown = python.relative_to(CHECKOUT) if CHECKOUT.samefile(os.curdir) else python
        command = f'{shlex.quote(str(shown))} -m ge_det doctor'
        return f"this is not the checkout's own Python: use {command}"
    fits = (3, 10) <= sys.version_info < (3, 14)  # Else the mend of that is the same.
    if fits and (_is_managed() or (lacks_all and not _is_environment())):
        return f'mend all of it, in a .venv: make -C {shlex.quote(str(CHECKOUT))} setup'
    return ''


def _is_environment() -> bool:
    return sys.prefix != sys.base_prefix or (Path(sys.prefix) / 'conda-meta').exists()


def _is_managed() -> bool:
    """Whether pip refuses to change this Python, which is the system's."""
    marker = Path(sysconfig.get_path('stdlib')) / 'EXTERNALLY-MANAGED'
    allowed = os.environ.get('PIP_BREAK_SYSTEM_PACKAGES', '0') not in ('', '0', 'false')
    return marker.exists() and not allowed and not _is_environment()


def mend(check: Check, error: str) -> str:
    """The one command that mends a failed check."""
    cause = next((piece for symptom, piece in _CAUSES.items() if symptom in error), check.name)
    if 'MMCV==' in error and _has_forks():
        cause = 'mmdet'  # The original, left beside the forks.
    if cause == 'CUDA':
        cause = 'torch'  # Only a torch that fails altogether makes this one fail.
    check = next(c for c in CHECKS if c.name == cause)
    if check.name == 'python':
        return _another_python()

    pip = f'{shlex.quote(sys.executable)} -m pip'
    lacks_pip = importlib.util.find_spec('pip') is None
    return f'{shlex.quote(sys.executable)} -m ensurepip && ' * lacks_pip + _by_pip(
        pip, check, error
    )


def has_detection() -> bool:
    """Whether somebody wants detectors here: a package of OpenMMLab's is installed."""
    return bool(installed(name for c in CHECKS if c.name in STACK for name in c.distributions))


def mend_at_once(missing: Iterable[str]) -> str:
    """The one command that brings the pieces of the detection side that are missing."""
    extra, options = 'detect', ''
    if not STACK.isdisjoint(missing):
        extra = 'onedl' if _has_forks() else 'openmmlab'
        options = '--no-build-isolation '
    # What is installed is taken, also where no index has it.
    name = 'ge-det' if installed(['ge-det']) else str(CHECKOUT)
    python = shlex.quote(sys.executable)
    return f'{python} -m pip install {options}{shlex.quote(f"{name}[{extra}]")}'


def _by_pip(pip: str, check: Check, error: str) -> str:
    forks = _has_forks()
    if check.name == 'family':
        return _one_family(pip)
    there = installed(check.distributions)
    lacking = 'is needed' in error or ('No module named' in error and 'mmcv._ext' not in error)
    if check.optional and not lacking:
        return f'{pip} uninstall -y {check.distributions[0]}'
    if check.name == 'opencv' and there:
        return f'{pip} install --force-reinstall --no-deps opencv-python-headless'
    # By itself pip adds what is missing or too old, but leaves alone what is there and broken.
    options = '--force-reinstall --no-deps ' if there and not lacking else ''
    environment = ''
    if check.name == 'mmcv':
        environment, compiling = _COMPILING
        options += compiling
    family = [name for name in check.distributions if name.startswith('onedl') == forks]
    wanted = shlex.quote(requirement((family or check.distributions)[0]))
    return f'{environment}{pip} install {options}{wanted}'


def _one_family(pip: str) -> str:
    """Remove the originals, and install again the forks, which lose files by that."""
    there = installed(name for check in CHECKS for name in check.distributions)
    forks = [name for name in there if name.startswith('onedl')]
    originals = [name for name in there if name in _ORIGINALS]
    environment, compiling = _COMPILING
    again = f'{environment}{pip} install --force-reinstall --no-deps {compiling}{" ".join(forks)}'
    return f'{pip} uninstall -y {" ".join(originals)} && {again}'


def _has_forks() -> bool:
    return bool(installed(name for c in CHECKS for name in c.distributions if 'onedl' in name))


def _another_python() -> str:
    """Make the environment of the checkout with a Python of this machine that will do."""
    names = ('python3.11', 'python3.12', 'python3.13', 'python3.10')
    sound = next((found for name in names if (found := shutil.which(name)) and _runs(found)), None)
    python = shlex.quote(sound or '/path/to/python3.11')
    return f'make -C {shlex.quote(str(CHECKOUT))} PYTHON={python} setup'


def _runs(python: str) -> bool:
    """Some are there as a name only, for a manager of Pythons to refuse."""
    return subprocess.run([python, '-V'], capture_output=True).returncode == 0
