"""The pieces that a working detector needs, and how the doctor tries each of them."""

from __future__ import annotations

from dataclasses import dataclass


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
        within_range: Whether its version has to be as our metadata ask; of others, the probe tells.
        is_core: Whether the blocks need it; the others are for detectors, and an extra brings them.
    """

    name: str
    distributions: tuple[str, ...] = ()
    module: str = ''
    probe: str = ''
    optional: bool = False
    needs_torch: bool = False
    within_range: bool = False
    is_core: bool = False


# Of the other distributions that `detect` brings, what has to import.
_OTHERS = {
    'pillow': 'PIL.Image',
    'pydantic': 'pydantic',
    'tqdm': 'tqdm',
    'jinja2': 'jinja2',
    'matplotlib': 'matplotlib.figure',
    'scipy': 'scipy.special',
    'defusedxml': 'defusedxml',
    'pyyaml': 'yaml',
    'supervision': 'supervision',
    'tidecv': 'tidecv',
    'typing-extensions': 'typing_extensions',
}

CHECKS = (
    Check(
        'python',
        probe="""
version, note = sys.version.split()[0], '3.10 to 3.13 are fine'
needed = 'Python 3.10 to 3.13 is needed'
assert sys.version_info >= (3, 10), needed
lacks = ': mmcv and mmengine call pkgutil.find_loader, which 3.14 no longer has'
assert sys.version_info < (3, 14), needed + lacks
""",
        is_core=True,
    ),
    Check(
        'numpy',
        ('numpy',),
        'numpy',
        """
assert tuple(map(int, version.split('.')[:2])) >= (1, 26), 'numpy 1.26 or newer is needed'
""",
        is_core=True,
    ),
    Check(
        'torch',
        ('torch',),
        'torch',
        """
module.ones(2).sum()
assert tuple(map(int, version.split('.')[:2])) >= (2, 10), (
    'torch 2.10 or newer is needed: a file of weights can make older ones overwrite memory '
    '(CVE-2026-24747)'
)
""",
        is_core=True,
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
    Check('safetensors', ('safetensors',), 'safetensors', within_range=True, is_core=True),
    Check('filelock', ('filelock',), 'filelock', within_range=True, is_core=True),
    Check('setuptools', ('setuptools',), 'setuptools', 'import pkg_resources'),
    Check('opencv', ('opencv-python', 'opencv-python-headless'), 'cv2'),
    Check('pycocotools', ('pycocotools',), 'pycocotools.mask', within_range=True),
    # The forks have the import names of the originals: together, they lie over each other.
    Check(
        'family',
        probe="""
from importlib.metadata import distributions
there = {str(d.metadata['Name']).lower() for d in distributions()}
originals = there & {'mmengine', 'mmcv', 'mmcv-lite', 'mmdet', 'mmpretrain'}
forks = there & {'onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection', 'onedl-mmpretrain'}
absent = not (originals or forks)
version = 'onedl' if forks else 'OpenMMLab' if originals else ''
assert not (originals and forks), ', '.join(sorted(originals | forks)) + ' lie over each other'
""",
        optional=True,
    ),
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
    # Of the extra `inspect`. It imports torchvision, which may lie where `tools/setup.sh` put it.
    Check(
        'grad-cam',
        ('grad-cam',),
        probe="""
from importlib.util import find_spec
absent = find_spec('pytorch_grad_cam') is None
if not absent:
    if find_spec('ge_det'):
        from ge_det.compat.peers import use_peers
        use_peers()
    import pytorch_grad_cam
""",
        optional=True,
        needs_torch=True,
        within_range=True,
    ),
    *(Check(name, (name,), module, within_range=True) for name, module in _OTHERS.items()),
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
