"""Commands as they run away from the checkout, and environments with the wheel in them."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path


def run(*words: object, cwd: Path | None = None) -> str:
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    environment.pop('PYTHONPATH', None)
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout.strip()


def environment_with(wheel: Path, packages: Path | str, folder: Path) -> Path:
    """The folder of programs of a new environment with the wheel in it, beside what is there."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / 'bin' / 'python'
    run(
        sys.executable, '-m', 'pip', '--python', python, 'install', '--no-deps', '--no-index', wheel
    )
    # A path in a .pth file: what lies there is found, but its own .pth files are not read, so that
    # the checkout, which is installed there for editing, is not.
    own = Path(run(python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'))
    (own / 'beside.pth').write_text(f'{packages}\n')
    # But for that of setuptools, by which Python 3.12 and later have distutils, as MMEngine asks.
    for file in Path(packages).glob('distutils-precedence.pth'):
        (own / file.name).write_bytes(file.read_bytes())
    return folder / 'bin'
