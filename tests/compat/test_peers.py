"""torchvision and timm become importable for a process that asks, also beside a CPU torch."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ge_det.compat.peers import peers_folder

ROOT = Path(__file__).parents[2]
needs_folder = pytest.mark.skipif(
    not peers_folder().is_dir(), reason='tools/setup.sh has put no torchvision and timm aside'
)


def run(code: str, *path: Path, prefix: Path | None = None) -> str:
    """Run code in a process of its own and return what it prints."""
    set_up = f'import sys; sys.path[:0] = {[str(folder) for folder in path]!r}\n'
    if prefix is not None:
        set_up += f'sys.prefix = {str(prefix)!r}\n'
    command = [sys.executable, '-W', 'ignore', '-c', set_up + code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_folder
def test_mmpretrain_and_timm_import_afterwards() -> None:
    code = """
from ge_det.compat.peers import use_peers
use_peers()
use_peers()
from mmpretrain.models import SEResNet
import timm, torch, torchvision
from torchvision.transforms.functional import resize
print(len(SEResNet(50).state_dict()), tuple(resize(torch.zeros(3, 8, 8), [4, 4]).shape))
print(sum(p.numel() for p in timm.create_model('seresnet50').parameters()))
"""
    assert run(code).split('\n') == ['382 (3, 4, 4)', '28088024', '']


SPAWN = """
import multiprocessing
from ge_det.compat.peers import use_peers

def find():
    import importlib.util
    print(importlib.util.find_spec('timm') is not None, flush=True)

if __name__ == '__main__':
    find()
    use_peers()
    find()
    child = multiprocessing.get_context('spawn').Process(target=find)
    child.start()
    child.join()
"""


@needs_folder
@pytest.mark.skipif(importlib.util.find_spec('timm') is not None, reason='timm is installed')
def test_only_the_process_that_asks_sees_them(tmp_path: Path) -> None:
    # A spawned one would find a torchvision that nobody has mended.
    script = tmp_path / 'script.py'
    script.write_text(SPAWN)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ['False', 'True', 'False'], done.stderr


@needs_folder
def test_the_folder_holds_the_versions_of_pyproject_and_the_torch_of_setup() -> None:
    pins = re.findall(r'"((?:torchvision|timm)==[^"]+)"', (ROOT / 'pyproject.toml').read_text())
    for pin in pins:
        assert (peers_folder() / f'{pin.replace("==", "-")}.dist-info').is_dir(), pin
    (metadata,) = peers_folder().glob('torchvision-*.dist-info/METADATA')
    wanted = re.search(r'^Requires-Dist: torch ?\(?(==[\d.]+)', metadata.read_text(), re.MULTILINE)
    assert f'torch=torch{wanted[1]}\n' in (ROOT / 'tools/setup.sh').read_text()


BROKEN = """
import torch
from . import extension

@torch.library.register_fake('torchvision::nms')
def nms(dets, scores, iou_threshold):
    return dets

import torchvision.extension
works = torchvision.extension.tried
"""


def test_a_torchvision_whose_operators_do_not_load_is_mended_in_place(tmp_path: Path) -> None:
    package = tmp_path / 'torchvision'
    package.mkdir()
    (package / '__init__.py').write_text(BROKEN)
    (package / 'extension.py').write_text('tried = True\n')
    code = """
try:
    import torchvision
except RuntimeError as error:
    print(error)
from ge_det.compat.peers import use_peers
use_peers()
import torchvision
print(torchvision.works, torchvision.__file__)
"""
    said = run(code, tmp_path, prefix=tmp_path).splitlines()
    assert said == [
        'operator torchvision::nms does not exist',
        f'True {package / "__init__.py"}',
    ]


def test_a_torchvision_that_works_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / 'torchvision.py').write_text('works = True\n')
    code = """
from ge_det.compat.peers import use_peers
use_peers()
import torchvision
print(torchvision.works)
"""
    assert run(code, tmp_path) == 'True\n'


def test_other_errors_of_torchvision_are_its_own(tmp_path: Path) -> None:
    (tmp_path / 'torchvision.py').write_text("raise RuntimeError('of another kind')\n")
    code = """
from ge_det.compat.peers import use_peers
try:
    use_peers()
except RuntimeError as error:
    print(error)
"""
    assert run(code, tmp_path) == 'of another kind\n'


def test_without_any_torchvision_one_line_says_what_to_do(tmp_path: Path) -> None:
    # None in sys.modules is what Python takes for a module that is not there.
    code = """
sys.modules['torchvision'] = None
from ge_det.compat.peers import use_peers
try:
    use_peers()
except ImportError as error:
    print(error)
"""
    (said,) = run(code, prefix=tmp_path).splitlines()
    assert said.startswith('torchvision is needed here and is not installed: run tools/setup.sh')
