"""The commands that the doctor names are run, and mend: small wheels stand in for the real ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path

import pytest
from linked_checkout import linked_checkout

from ge_det.cli.errors import doctor_command, run_command
from ge_det.cli.pieces import CHECKS
from ge_det.cli.requirements import requirement, suits

ROOT = Path(__file__).parents[2]

TORCH = """
__version__ = '2.13.0'
class Tensor:
    sum = lambda self: 0
ones = eye = lambda *size, **options: Tensor()
class cuda:
    is_available = lambda: False
class version:
    cuda = None
"""
BODIES = {
    'setuptools': {'setuptools': '', 'pkg_resources': ''},
    'numpy': {'numpy': "__version__ = '2.4.6'"},
    'torch': {'torch': TORCH},
    'mmcv': {'mmcv': '', 'mmcv.ops': 'nms = lambda *arguments: 0'},
    'mmdet': {'mmdet': '', 'mmdet.models': ''},
}
"""The modules of the stand-ins that have to do more than be imported."""


def wheel(folder: Path, name: str, version: str, modules: Mapping[str, str]) -> None:
    """A wheel as the registry would have it."""
    known = name.replace('-', '_')
    info = f'{known}-{version}.dist-info'
    files = {
        f'{module.replace(".", "/")}/__init__.py': text for module, text in modules.items()
    } | {
        f'{info}/METADATA': f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n',
        f'{info}/WHEEL': 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    }
    with zipfile.ZipFile(folder / f'{known}-{version}-py3-none-any.whl', 'w') as archive:
        for file, text in files.items():
            archive.writestr(file, text)
        record = ''.join(f'{file},,\n' for file in [*files, f'{info}/RECORD'])
        archive.writestr(f'{info}/RECORD', record)


def lowest(name: str) -> str:
    found = re.search(r'[=>]=([\d.]+)', requirement(name))
    return found[1] if found else '1.0'


def modules_of(name: str, module: str) -> dict[str, str]:
    parts = (module or name).split('.')
    nested = {'.'.join(parts[: count + 1]): '' for count in range(len(parts))}
    return BODIES.get(name, nested)


class Machine:
    """An environment of its own, and a registry that has the stand-ins alone."""

    def __init__(self, root: Path, with_pip: bool = True) -> None:
        self.is_sound = False
        self.python = root / 'env' / 'bin' / 'python'
        self.wheels = root / 'wheels'
        self.wheels.mkdir()
        venv.create(root / 'env', symlinks=True)
        # Ours, which is faster than to install another. To import it has setuptools, which torch
        # imports later, fail in this process.
        if with_pip:
            (site,) = (root / 'env').glob('lib/*/site-packages')
            (site / 'pip').symlink_to(Path(distribution('pip').locate_file('pip')))
        self.environment = os.environ | {
            'PYTHONPATH': str(linked_checkout(root / 'checkout')),
            'PIP_NO_INDEX': '1',
            'PIP_FIND_LINKS': str(self.wheels),
            'PIP_DISABLE_PIP_VERSION_CHECK': '1',
        }
        for check in CHECKS:
            for name in check.distributions:
                version = '2.13.0' if name == 'torch' else lowest(name)
                wheel(self.wheels, name, version, modules_of(check.name, check.module))

    def doctor(self, *pieces: str) -> dict[str, str]:
        """Of each piece that fails, the mend."""
        command = [str(self.python), '-m', 'ge_det', 'doctor', *pieces]
        done = subprocess.run(
            command, capture_output=True, text=True, env=self.environment, cwd=self.python.parent
        )
        assert done.stderr == ''
        found = re.findall(r'^(\S+) .*\bFAIL\b.*\n +mend: (.*)$', done.stdout, re.M)
        assert len(found) == done.stdout.count('FAIL')
        assert (done.returncode == 0) == (not found)
        return dict(found)

    def run(self, *commands: str) -> None:
        """Run commands, those that pip can do at once by one pip."""
        self.is_sound = False
        at_once: dict[str, list[str]] = {}
        for command in commands:
            start, wanted = command.rsplit(' ', 1)
            at_once.setdefault(start, []).append(wanted)
        together = ' && '.join(f'{start} {" ".join(wanted)}' for start, wanted in at_once.items())
        done = subprocess.run(
            ['bash', '-ec', together], capture_output=True, text=True, env=self.environment
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def check_sound(self) -> None:
        assert self.doctor() == {}
        self.is_sound = True

    def heal(self, mends: Mapping[str, str] | None = None) -> None:
        """Have all pieces sound, by mends that the doctor has just told, if it has."""
        if self.is_sound:
            return
        if mends := self.doctor() if mends is None else mends:
            self.run(*mends.values())
        self.check_sound()

    def break_piece(self, name: str) -> None:
        """Leave of a package a module that does not import."""
        self.is_sound = False
        module = next(check.module for check in CHECKS if check.name == name).partition('.')[0]
        (file,) = self.python.parents[1].glob(f'lib/*/site-packages/{module}/__init__.py')
        file.write_text('raise RuntimeError("broken")')


@pytest.fixture(scope='module')
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tmp_path_factory.mktemp('machine'))


def test_each_mend_in_turn_makes_an_empty_environment_whole(machine: Machine) -> None:
    mends = machine.doctor()
    needed = {check.name for check in CHECKS if not check.optional} - {'python'}
    # The ensurepip of Python 3.11 and older brings a setuptools.
    assert set(mends) in (needed, needed - {'setuptools'})
    machine.heal(mends)


def test_each_mend_makes_a_broken_piece_whole(machine: Machine) -> None:
    machine.heal()
    broken = [check.name for check in CHECKS if check.module and not check.optional]
    machine.run(f'{machine.python} -m pip install setuptools torchvision')
    for name in [*broken, 'torchvision']:
        machine.break_piece(name)
    # What needs torch waits for it.
    first = machine.doctor('torch', 'numpy', 'setuptools')
    assert set(first) == {'torch', 'numpy', 'setuptools'}
    machine.run(*first.values())
    mends = machine.doctor()
    assert set(mends) == {*broken, 'torchvision'} - set(first)
    machine.heal(mends)


def test_the_mend_of_two_families_leaves_one(machine: Machine) -> None:
    machine.heal()
    forks = ['onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection']
    machine.run(f'{machine.python} -m pip install {" ".join(forks)}')
    (command,) = machine.doctor('family').values()
    machine.run(command)
    machine.check_sound()


def test_a_version_out_of_range_is_mended(machine: Machine) -> None:
    wheel(machine.wheels, 'supervision', '0.40', {'supervision': ''})
    machine.run(f'{machine.python} -m pip install supervision==0.40')
    (command,) = machine.doctor('supervision').values()
    machine.run(command)
    assert machine.doctor('supervision') == {}


def test_what_is_missing_is_told_in_one_command_too(machine: Machine) -> None:
    machine.heal()
    machine.run(f'{machine.python} -m pip uninstall -y tidecv supervision')
    command = [machine.python, '-m', 'ge_det', 'doctor', 'tqdm', 'tidecv', 'supervision', 'torch']
    done = subprocess.run(
        command, capture_output=True, text=True, env=machine.environment, cwd=machine.python.parent
    )
    assert done.stdout.count('mend: ') == 2
    checkout = machine.environment['PYTHONPATH']
    at_once = f"{machine.python} -m pip install '{checkout}[detect]'"
    assert done.stdout.splitlines()[-1] == f'all that is missing at once: {at_once}'


def test_an_environment_without_pip_gets_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path, with_pip=False)
    (command,) = machine.doctor('filelock').values()
    first, then = command.split(' && ')
    assert first == f'{machine.python} -m ensurepip'
    machine.run(f'{first} --version')  # Some systems leave it out.
    assert then == f"{machine.python} -m pip install '{requirement('filelock')}'"


def listed(key: str) -> set[str]:
    text = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
    found = re.search(rf'^{key} = \[(.*?)^\]', text, re.M | re.S)
    assert found is not None
    return set(re.findall(r'"([\w-]+)[<>=]', found[1]))


def test_every_dependency_is_a_piece() -> None:
    pieces = {name: check.is_core for check in CHECKS for name in check.distributions}
    core, names = listed('dependencies'), listed('dependencies') | listed('detect')
    assert {'torch', 'numpy', 'safetensors'} <= core and len(names) > 10
    assert core == {name for name, is_core in pieces.items() if is_core}
    assert names <= pieces.keys()
    assert all(requirement(name) != name for name in names)


@pytest.mark.parametrize(
    ('version', 'fits'),
    [('0.31', True), ('0.31.0', True), ('0.31.2', True), ('0.32', False), ('0.30.9', False)],
)
def test_ranges_of_versions(version: str, fits: bool) -> None:
    assert requirement('Supervision') == 'supervision>=0.31,<0.32'
    assert suits('supervision', version) == fits
    assert suits('unknown', version)


class Checkout:
    """A checkout elsewhere, which a linked folder is, with another Python that has nothing."""

    def __init__(self, root: Path) -> None:
        self.root = linked_checkout(root / 'check out')
        venv.create(root / 'other', with_pip=False, symlinks=True)
        self.other = root / 'other' / 'bin' / 'python'

    def run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {'PYTHONPATH': str(self.root)}
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=cwd or self.root
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_wrong_python_is_told_the_right_one(checkout: Checkout, tmp_path: Path) -> None:
    venv.create(checkout.root / '.venv', with_pip=False, symlinks=True)
    for cwd, named in (
        (checkout.root, '.venv/bin/python -m ge_det doctor'),
        (tmp_path, f"'{checkout.root}/.venv/bin/python' -m ge_det doctor"),
    ):
        done = checkout.run(str(checkout.other), '-m', 'ge_det', 'doctor', cwd=cwd)
        assert done.returncode == 1 and 'mend' not in done.stdout
        last = done.stdout.splitlines()[-1]
        assert last == f"this is not the checkout's own Python: use {named}"
        # The right one has a mend for each, not another Python.
        again = checkout.run('bash', '-c', f'{named} filelock', cwd=cwd)
        assert 'mend: ' in again.stdout and 'use ' not in again.stdout
        assert f'{checkout.root}/.venv/bin/python' in again.stdout


def test_without_a_venv_an_environment_is_mended(checkout: Checkout) -> None:
    done = checkout.run(str(checkout.other), '-m', 'ge_det', 'doctor', 'filelock')
    assert done.stdout.count('mend: ') == 1 and str(checkout.other) in done.stdout


def test_a_python_that_is_no_environment_is_left_alone(checkout: Checkout) -> None:
    """Where nothing is there, or the system's refuses pip: one command makes the environment."""
    base = Path(sys.base_prefix) / 'bin' / f'python3.{sys.version_info[1]}'
    if checkout.run(str(base), '-c', 'import torch').returncode == 0:
        pytest.skip(f'{base} has torch')
    done = checkout.run(str(base), '-m', 'ge_det', 'doctor')
    last = done.stdout.splitlines()[-1]
    command = last.removeprefix('mend all of it, in a .venv: ')
    assert command == f"make -C '{checkout.root}' setup" and 'pip' not in done.stdout
    assert checkout.run('bash', '-c', f'{command} --dry-run').stdout.count('tools/setup.sh') == 1


def test_the_error_of_a_broken_stack_names_a_doctor_that_runs(checkout: Checkout) -> None:
    (checkout.root / 'my.py').touch()
    done = checkout.run(str(checkout.other), '-m', 'ge_det', 'train', 'my.py')
    assert done.returncode == 2 and done.stderr.count('\n') == 1
    (command,) = re.findall('`(.*)`', done.stderr)
    assert checkout.run('bash', '-c', f'{command} python').stdout.startswith('python ')


@pytest.mark.parametrize(
    'raised', ['RuntimeError("nms: not for CUDA")', 'AssertionError("MMCV==")']
)
def test_under_a_traceback_stands_the_doctor(raised: str) -> None:
    code = f"""
import sys
from ge_det.cli.errors import run_command
def broken(): raise {raised}
sys.exit(run_command('train', broken))
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    *_, error, last = done.stderr.splitlines()
    assert done.returncode == 1 and 'Traceback' in done.stderr
    assert error.startswith(raised.partition('(')[0])
    assert last == f'train: `{doctor_command()}` tells whether what is installed works'


def test_no_doctor_under_what_a_user_can_mend(capsys: pytest.CaptureFixture[str]) -> None:
    def missing() -> None:
        raise FileNotFoundError(2, 'No such file', 'photos.so/a.jpg')

    assert run_command('train', missing) == 2
    assert 'doctor' not in capsys.readouterr().err
