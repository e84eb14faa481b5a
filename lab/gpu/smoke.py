"""What machine this is, whether all imports, and one kernel of each kind against its formula."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sysconfig
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lab.gpu.telling import arguments, guarded, tell

PACKAGES = ('torchvision', 'triton', 'numpy', 'pytest', 'mmengine', 'mmcv-lite', 'mmcv', 'mmdet')
MODULES = ('cv2', 'pycocotools.mask', 'pkg_resources', 'triton', 'mmcv.ops', 'mmdet.models')
OURS = ('ge_det.backbones', 'ge_det.datasets', 'lab.speed.run')
LARGEST_ERROR = 1e-4


def tell_machine(device: str) -> None:
    """Card, versions, compiler."""
    found = {d.name: d.version for d in metadata.distributions() if d.name in PACKAGES}
    gpu = str(torch.cuda.get_device_properties(0)) if torch.cuda.is_available() else None
    compiler = shutil.which('gcc') or shutil.which('cc')
    header = (Path(sysconfig.get_path('include')) / 'Python.h').is_file()
    line = (
        f'{gpu or "no GPU"}; Python {platform.python_version()}, torch {torch.__version__} '
        f'(CUDA {torch.version.cuda}), {os.cpu_count()} cores; C compiler {compiler}, Python.h '
        f'{header}; ' + ', '.join(f'{name} {version}' for name, version in found.items())
    )
    tell('machine', line, device == 'cpu' or gpu is not None, gpu=gpu, versions=found)


def attempt(name: str, expected: Tensor, operator: Any, *inputs: Any) -> None:
    """Run a kernel for the first time and compare."""
    with guarded(name):
        begin = time.perf_counter()
        out = operator(*inputs)
        error = float(((out if isinstance(out, Tensor) else out[0]) - expected).abs().max())
        took = time.perf_counter() - begin
        line = f'{name}: first call {took:.1f} s, largest error {error:.1e}'
        tell(name, line, error < LARGEST_ERROR, seconds=took, error=error)


def main() -> None:
    """Machine, imports, kernels."""
    args = arguments(__doc__).parse_args()
    device = args.device
    tell_machine(device)
    for module in (*MODULES, *OURS):
        with guarded(f'import {module}'):
            importlib.import_module(module)
    with guarded('NMS of mmcv'):
        from mmcv.ops import nms

        nms(torch.eye(4, device=device), torch.ones(4, device=device), 0.5)
    from ge_det.ops.triton_tools.runtime import available

    ops = torch.ops.ge_det
    torch.manual_seed(0)
    n, c, h, w = (1, 8, 6, 10) if args.tiny else (2, 64, 20, 24)
    y, identity = torch.randn(2, n, c, h, w, device=device)
    scale, shift = torch.randn(2, c, device=device)
    for kind, shape in dict(channel=(c, 1, 1), cells=(c, 3, 3), full=(c // 4, h, w)).items():
        gate = torch.rand(n, *shape, device=device)
        rows, columns = (torch.arange(a) * b // a for a, b in zip((h, w), shape[1:], strict=True))
        up = gate.repeat_interleave(c // shape[0], 1)[:, :, rows][:, :, :, columns]
        z = y * scale[:, None, None] + shift[:, None, None]
        expected = torch.relu(identity + up * z)
        attempt(f'kernel {kind}', expected, ops.gated_residual, y, identity, gate, scale, shift)
    expected = torch.nn.functional.avg_pool2d(y, 15, 8, 7, count_include_pad=False)
    attempt('kernel window', expected, ops.window_mean, y, 8)
    projection, ones = torch.randn(n, 4, c, device=device), torch.ones(4, device=device)
    s = projection @ y.flatten(2)
    expected = torch.sigmoid((s - s.mean(2, True)) / (s.std(2, keepdim=True) + 1e-5) + 1)
    expected = expected.view(n, 4, h, w)
    attempt('kernel similarity', expected, ops.similarity_gate, y, projection, ones, ones)
    if not available(y):
        tell('kernels', 'the Triton kernels cannot run here: all else is plain PyTorch', ok=False)


if __name__ == '__main__':
    main()
