"""What a run of the speed benchmark was asked to do, and on which machine."""

from __future__ import annotations

import contextlib
import platform
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import ge_det
from ge_det.catalogue import DEPTHS
from ge_det.compat.large_pages import are_asked_for
from ge_det.errors import UserError

MODES = ('blocks', 'backbones', 'detectors')
GATES = ('fresh', 'loaded', 'learning')
RIVALS = ('plugin', 'published', 'peers')
ONNX, COMPILED = 'onnx', 'compiled'  # Of `--onnx` and `--compiled`, if they are asked for.

# The network halves the picture five times; below this the last map is a single position.
SMALLEST_SIDE = 64


@dataclass(frozen=True)
class SpeedSettings:
    """All that a figure depends on beside the block; a UserError names a value not allowed."""

    mode: str  # One of MODES.
    train: bool = False  # Forward and backward instead of inference.
    amp: bool = False  # Autocast.
    channels_last: bool = False  # NHWC memory order.
    size: tuple[int, int] = (800, 1344)  # Height and width of the picture, as mmdet pads it.
    batch: int = 1
    depth: int = 50  # Of the ResNet, and its width:
    base_channels: int = 64
    frozen_stages: int = 1  # As of mmdet's ResNet.
    gates: str = 'fresh'  # What those in frozen stages are; see attention_options.
    valid_area: bool = False  # Pictures of several sizes in the batch, and the option for them.
    rounds: int = 7  # Turns that every contender gets.
    threads: int = 1  # Of torch, on the CPU.
    device: str = 'cpu'  # Or 'cuda', with an index or without.
    against: tuple[str, ...] = RIVALS  # Beside ours.
    config: str | None = None  # Of the detector, for the mode 'detectors'.

    def __post_init__(self) -> None:
        check_choice('mode', self.mode, MODES)
        check_choice('depth', self.depth, DEPTHS)
        check_choice('gates', self.gates, GATES)
        check_choice('frozen_stages', self.frozen_stages, range(-1, 4))
        for rival in self.against:
            check_choice('against', rival, (*RIVALS, ONNX, COMPILED))
        if min(self.size) < SMALLEST_SIDE:
            sides = ' '.join(map(str, self.size))
            raise UserError(f'size {sides} is too small: give at least {SMALLEST_SIDE} for both')
        for name in ('batch', 'base_channels', 'rounds', 'threads'):
            if getattr(self, name) < 1:
                raise UserError(f'{name} {getattr(self, name)} must be 1 or more')
        if self.mode == 'detectors' and not (self.config and Path(self.config).is_file()):
            raise UserError(f'{self.config}: no such config file; check --config')
        _check_device(self.device)
        plain_run = self.mode == 'backbones' and self.device == 'cpu' and not self.amp
        if ONNX in self.against and (self.train or self.channels_last or not plain_run):
            raise UserError(
                '--onnx is for backbones in inference on the CPU: leave out --train, --amp and '
                '--channels-last'
            )
        if COMPILED in self.against and self.mode != 'backbones':
            raise UserError('--compiled is for backbones: leave it out')
        if self.valid_area and (self.mode != 'backbones' or self.batch < 2):
            raise UserError(
                '--valid-area is for backbones with pictures of several sizes: give --batch 2 or '
                'more'
            )
        if self.mode == 'detectors' and self.amp and self.device == 'cpu':
            reason = "mmcv's own operators know no half precision on a CPU"
            raise UserError(f'{reason}: leave --amp out, or measure backbones')

    @property
    def own_sizes(self) -> list[tuple[int, int]]:
        """Height and width of each picture of a padded batch; the first fills it."""
        height, width = self.size
        sizes = [(height, width), (height, 3 * width // 4), (3 * height // 4, width)]
        return [sizes[number % len(sizes)] for number in range(self.batch)]

    @property
    def amp_dtype(self) -> torch.dtype:
        """What autocast computes in."""
        return torch.bfloat16 if self.device == 'cpu' else torch.float16

    @property
    def memory_format(self) -> torch.memory_format:
        """Order of networks and pictures in memory."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON holds them; of the config its name, wherever the file lies."""
        values = asdict(self) | {'config': self.config and Path(self.config).name}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def environment(settings: SpeedSettings) -> dict[str, str]:
    """Machine and versions, which the figures depend on too."""
    has_tf32 = settings.device != 'cpu' and torch.backends.cudnn.allow_tf32
    return {
        'device': _device_name(settings.device),
        'torch': torch.__version__,
        'ge_det': ge_det.__version__,
        'float32': 'TF32 in convolutions' if has_tf32 else 'float32',
        'pages': 'large' if are_asked_for() else 'as the system has them',
    }


def check_choice(what: str, value: object, choices: Iterable[object]) -> None:
    """Raise a UserError that lists the choices unless the value is one of them."""
    if value not in (known := list(choices)):
        raise UserError(f'{what} {value!r} is unknown: choose from {", ".join(map(str, known))}')


def _device_name(device: str) -> str:
    """What the maker calls the GPU or the CPU."""
    if device != 'cpu':
        return torch.cuda.get_device_name(device)
    with contextlib.suppress(OSError):
        for line in Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()


def _check_device(device: str) -> None:
    if not re.fullmatch(r'cpu|cuda(:\d+)?', device):
        raise UserError(f'device {device!r} is unknown: give cpu or cuda')
    if device != 'cpu' and (torch.device(device).index or 0) >= torch.cuda.device_count():
        remedy = 'give cpu, or mend the driver or install a torch with CUDA'
        raise UserError(f'device {device!r}: torch sees no such GPU here; {remedy}')
