"""`pip install ge-det` without an extra: the wheel beside torch, numpy and safetensors alone."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from environments import environment_with, run
from packaging.requirements import Requirement

CORE = ('torch', 'numpy', 'safetensors')


def asked_by(found: Distribution) -> list[str]:
    """What a distribution needs here, without its extras."""
    asked = map(Requirement, found.requires or ())
    return [one.name for one in asked if one.marker is None or one.marker.evaluate({'extra': ''})]


def with_all_they_need(names: tuple[str, ...]) -> dict[str, Distribution]:
    found: dict[str, Distribution] = {}
    waiting = list(names)
    while waiting:
        name = re.sub('[-_.]+', '-', waiting.pop()).lower()
        try:
            if name not in found:
                found[name] = distribution(name)
                waiting += asked_by(found[name])
        except PackageNotFoundError:  # Of another machine, such as CUDA's.
            continue
    return found


@pytest.fixture(scope='module')
def core() -> dict[str, Distribution]:
    return with_all_they_need(CORE)


@pytest.fixture(scope='module')
def programs(
    wheel: Path, core: dict[str, Distribution], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    packages = tmp_path_factory.mktemp('packages')
    # The libraries of a CUDA torch share one folder.
    tops = {
        file.parts[0]: found.locate_file(file.parts[0])
        for found in core.values()
        for file in found.files or ()
    }
    for top in tops.keys() - {'..', '__pycache__'}:
        (packages / top).symlink_to(tops[top])
    return environment_with(wheel, packages, tmp_path_factory.mktemp('environment'))


def test_it_asks_for_no_more(programs: Path, core: dict[str, Distribution]) -> None:
    code = 'import importlib.metadata as m; print(*m.requires("ge-det"), sep="\\n")'
    asked = [Requirement(line) for line in run(programs / 'python', '-c', code).splitlines()]
    always = {one.name for one in asked if one.marker is None}
    assert set(CORE) <= always <= set(core)
    others = ['mmengine', 'mmcv', 'mmdet', 'cv2', 'PIL', 'tqdm', 'pydantic', 'supervision']
    code = f'import importlib.util as u; print([n for n in {others} if u.find_spec(n)])'
    assert run(programs / 'python', '-c', code) == '[]'


USE = """
import json, pickle, sys
import torch
before = set(sys.modules)
from ge_det import (
    GatherExcite, ResolutionGuidedSE, SpatialGroupEnhance, SpatialPyramidSE, SqueezeExcite,
    add_attention, read_state_dict, remove_attention,
)
from ge_det.catalogue import NAMES
core = set(sys.modules) - before
everything = {}
exec('from ge_det import *', everything)
assert {'SqueezeExcite', 'add_attention'} <= everything.keys()

from ge_det import execution, ops
from ge_det.errors import CheckpointError
from safetensors.torch import save_file

x = torch.randn(8, 64, 9, 8, requires_grad=True)
kinds = GatherExcite, ResolutionGuidedSE, SpatialGroupEnhance, SpatialPyramidSE, SqueezeExcite
for kind in kinds:
    block = kind(64)
    block(x).sum().backward()
    torch.save({'state_dict': {f'module.{k}': v for k, v in block.state_dict().items()}}, 'w.pth')
    save_file(block.state_dict(), 'w.safetensors')
    for file in ('w.pth', 'w.safetensors') if block.state_dict() else ():
        kind(64).load_state_dict(read_state_dict(file))

gate = torch.rand(8, 64, 1, 1)
assert torch.allclose(ops.gated_residual(x, x, gate), torch.relu(x + x * gate))

class Unit(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(64, 64, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(64)
    def forward(self, x):
        return torch.relu(x + self.norm(self.conv(x)))

network = torch.nn.Sequential(Unit(), Unit())
plain = network(x)
add_attention(network, 'se', units=lambda model: [(unit, unit.norm, 64) for unit in model])
torch.testing.assert_close(network(x), plain, rtol=1e-5, atol=1e-5)
remove_attention(network)
torch.testing.assert_close(network(x), plain)

class Code:
    def __reduce__(self):
        return print, ('ran',)
torch.save({'weight': torch.ones(2), 'x': Code()}, 'code.pth')
try:
    refused = read_state_dict('code.pth')
except CheckpointError as error:
    refused = str(error)
print(json.dumps(dict(names=len(NAMES), core=sorted(core), refused=refused)))
"""


def test_blocks_operators_and_safe_reading(programs: Path, tmp_path: Path) -> None:
    told = json.loads(run(programs / 'python', '-W', 'error', '-c', USE, cwd=tmp_path))
    assert told['names'] > 10
    assert told['refused'].startswith('code.pth: ') and '\n' not in told['refused']
    # Beside torch, few modules, and none of them slow: 0.07 s in all.
    ours = [name for name in told['core'] if name.startswith('ge_det')]
    assert len(ours) < 130 and len(told['core']) - len(ours) < 40, told['core']
    assert not any(name.startswith('ge_det.') and 'registry' in name for name in ours)


NEEDS = {
    'AttentionResNet': 'mmengine',
    'ContextShapes': 'tqdm',
    'Predictor': 'supervision',
    'import_pretrained': 'mmengine',
}
ASK = f"""
import ge_det
for name in {list(NEEDS)}:
    try:
        getattr(ge_det, name)
    except ImportError as error:
        print(error)
"""


def test_the_detection_side_names_the_extra_in_one_line(programs: Path, tmp_path: Path) -> None:
    lines = run(programs / 'python', '-c', ASK).splitlines()
    extra = "pip install --no-build-isolation 'ge-det[openmmlab]', or 'ge-det[onedl]'"
    assert len(lines) == len(NEEDS)
    for line, (name, package) in zip(lines, NEEDS.items(), strict=True):
        assert line.startswith(f'ge_det.{name} needs {package}, which is not installed: {extra}')
    (tmp_path / 'my.py').write_text('model = dict()\n')
    for command in (['train', 'my.py'], ['make-config', 'photos']):
        words = [programs / 'ge-det', *command]
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
        assert extra in done.stderr


def test_the_doctor_says_what_is_there_and_what_detectors_need(programs: Path) -> None:
    *lines, last = run(programs / 'ge-det', 'doctor').splitlines()
    status = {line.split()[0]: line.split() for line in lines}
    for piece in ('python', *CORE, 'filelock'):
        assert status[piece][-1] == 'ok', status[piece]
    for piece in ('mmengine', 'mmcv', 'mmdet', 'opencv', 'supervision'):
        assert status[piece][1:] == ['-', 'is', 'not', 'installed']
    assert last.endswith(
        f"{programs / 'python'} -m pip install --no-build-isolation 'ge-det[openmmlab]'"
    )
    asked = subprocess.run([programs / 'ge-det', 'doctor', 'mmdet'], capture_output=True, text=True)
    assert asked.returncode == 1 and 'FAIL is not installed' in asked.stdout
