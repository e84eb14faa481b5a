"""A machine for the set-up script, with a stub for Python: nothing is installed.

The stub keeps a list of what it was asked to do and fails where a test wants it to.
"""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]

STUB = """#!/bin/bash
echo "$*" >>"$STUB/calls"
for fault in "$STUB"/fault-*; do
  [ -e "$fault" ] || continue
  if [[ "$*" == *"$(head -n 1 "$fault")"* ]]; then source <(tail -n +2 "$fault"); fi
done
case "$*" in
  -V*) echo "Python 3.11.7" ;;
  "-m venv"*)
    rm -rf "${@: -1}"
    mkdir -p "${@: -1}/bin" "${@: -1}/lib/python3.11/site-packages"
    cp "$0" "${@: -1}/bin/python"
    ;;
  *"cache list"*) cat "$STUB/cached" 2>/dev/null ;;
  "-m pip install"*.whl) touch "$STUB/has-mmcv" ;;
  "-m pip download"*)
    mkdir -p "$STUB/mmcv-2.1.0"
    touch "$STUB/mmcv-2.1.0/setup.py"
    tar -czf .venv/mmcv-build/mmcv-2.1.0.tar.gz -C "$STUB" mmcv-2.1.0
    ;;
  "-m pip wheel"*) touch .venv/mmcv-build/mmcv-2.1.0-cp311-cp311-any.whl "$STUB/built" ;;
  *--target*)
    mkdir -p .venv/peers.part/torchvision-0.28.0.dist-info .venv/peers.part/timm-1.0.31.dist-info
    ;;
  *"m.version('"*) [ -e "$STUB/has-mmcv" ] ;;
  *sys.version_info\\[:2\\]*) echo 3.11 ;;
  -) cat >/dev/null ;;
esac
"""

TOOLS = (
    'bash cat cksum cp dirname find getconf grep head ls mkdir mv nproc rm sed sleep tail tar '
    'touch tr wc gzip'
)


class Machine:
    """A folder with the script in it, a stub for Python, and a path of its own."""

    def __init__(self, folder):
        self.folder = folder / 'a project'
        self.stub = folder / 'stub'
        self.bin = folder / 'bin'
        for name in (self.folder / 'tools', self.stub, self.bin):
            name.mkdir(parents=True)
        shutil.copy(ROOT / 'tools/setup.sh', self.folder / 'tools')
        shutil.copytree(ROOT / 'tools/setup', self.folder / 'tools/setup')
        shutil.copy(ROOT / 'pyproject.toml', self.folder)
        for tool in [*TOOLS.split(), 'c++']:
            (self.bin / tool).symlink_to(shutil.which(tool) or '/bin/true')
        self.python = self.bin / 'python3.11'
        self.python.write_text(STUB)
        self.python.chmod(0o755)

    def fault(self, call, action):
        """From now on, a call of Python with that in it does this first; returns the fault."""
        fault = self.stub / f'fault-{len(list(self.stub.glob("fault-*")))}'
        fault.write_text(f'{call}\n{action}\n')
        return fault

    def start(self, *arguments, **environment):
        environment = {
            'PATH': str(self.bin),
            'STUB': str(self.stub),
            'HOME': str(self.stub),
            **environment,
        }
        return subprocess.Popen(
            [self.folder / 'tools/setup.sh', *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd='/',
        )

    def run(self, *arguments, **environment):
        """The exit status, what was said, and what was complained of."""
        process = self.start(*arguments, **environment)
        said, complaint = process.communicate(timeout=60)
        return process.returncode, said.splitlines(), complaint.splitlines()

    def calls(self):
        """What Python was asked to do since the last call of this."""
        calls = self.stub / 'calls'
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return [line for line in lines if line.startswith('-m') and 'cache list' not in line]
