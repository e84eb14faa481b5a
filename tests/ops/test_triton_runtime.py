"""Kernels that do not launch, and kernels compiled for a GPU that is not here."""

import importlib.util
import os
import subprocess
import sys

import pytest
import torch

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec('triton') is None, reason='triton is not installed'
)
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'


def run_python(code, **environment):
    environment = {'OMP_NUM_THREADS': '1', 'PATH': os.environ['PATH'], **environment}
    command = [sys.executable, '-c', code]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


FAILING = """
import sys, warnings
import torch
from ge_det.ops.triton_tools import runtime

assert 'triton' not in sys.modules
def mean(x, extent):
    return 'fallback'
x = torch.ones(1, 2, 3, 3)
assert runtime.run('window_mean.forward', mean, x, 2) == 'fallback'
assert 'triton' not in sys.modules

class OnGpu(torch.Tensor):
    is_cuda = True  # The only part of a GPU that this machine can offer.

x = x.as_subclass(OnGpu)
assert runtime.available(x)
for _ in range(2):
    assert runtime.run('window_mean.forward', mean, x, 2) == 'fallback'
assert not runtime.available(x)
try:
    runtime.load('window_mean.forward')(x, 0)
except ValueError as error:
    print(error)
"""


@pytest.mark.skipif(DEVICE == 'cuda', reason='kernels do not fail here')
def test_a_kernel_that_does_not_launch_warns_once_and_falls_back(tmp_path):
    done = run_python(FAILING, TRITON_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count('Triton kernels are off from here on') == 1
    assert done.stdout == 'extent must be at least 1, not 0\n'


COMPILE = """
import itertools
import torch
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver
from triton.runtime.jit import JITFunction
from ge_det.ops.triton_tools import runtime

class NoDevice:
    get_current_device = staticmethod(lambda: 0)
    get_current_stream = staticmethod(lambda device: 0)
    get_current_target = staticmethod(lambda: GPUTarget('cuda', 90, 32))

run = JITFunction.run

def compile_only(self, *args, grid, warmup, **constants):
    kernel = run(self, *args, grid=grid, warmup=True, **constants)
    assert kernel.asm['cubin']
    print(self.fn.__name__)

driver.set_active(NoDevice())
JITFunction.run = compile_only
formats = torch.contiguous_format, torch.channels_last
gates = (16, (1, 1)), (4, (24, 16)), (16, (3, 2))
for last, (groups, cells) in itertools.product(formats, gates):
    y = torch.zeros(2, 16, 24, 16, dtype=torch.float16).contiguous(memory_format=last)
    gate, scale = torch.zeros(2, groups, *cells), torch.zeros(16)
    runtime.load('gated_residual.forward')(y, y, gate, scale, scale)
    runtime.load('gated_residual.backward')(y, y, y, gate, scale, scale)
    if cells == (3, 2):
        runtime.load('window_mean.forward')(y, 8)
        gate = gate.contiguous(memory_format=last)
        runtime.load('window_mean.backward')(gate, (24, 16), 8, y.dtype)
c, weight = torch.zeros(2, 4, 5000), torch.zeros(4)
statistics = runtime.load('spatial_group_enhance.forward')(c, weight, weight, 1e-5)
runtime.load('spatial_group_enhance.forward')(c[:, :, :9].contiguous(), weight, weight, 1e-5)
runtime.load('spatial_group_enhance.backward')(c, c, c, *statistics[1:], weight, 1e-5)
"""


def test_kernels_compile_for_a_gpu_that_is_not_here(tmp_path):
    """Triton brings the whole compiler, down to the machine code of an H100 or H200."""
    done = run_python(COMPILE, TRITON_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    names = set(done.stdout.split())
    assert {'flat_forward', 'flat_backward', 'cells_forward', 'cells_backward'} <= names
    assert {'window_forward', 'window_backward'} <= names
    assert {name for name in names if 'similarities' in name or 'statistics' in name} == {
        'block_statistics',
        'gate_of_similarities',
        'gradient_of_similarities',
    }
