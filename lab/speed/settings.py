"""What a run of the speed benchmark was asked to do, and on which machine."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import ge_det
from ge_det.catalogue import DEPTHS, NAMES

MODES = ('blocks', 'backbones', 'detectors')
RIVALS = ('plugin', 'published', 'peers')

# The network halves the picture five times; below this the last map is a single position.
SMALLEST_SIDE = 64


class BenchmarkError(ValueError):
    """Something that keeps the benchmark from running; the message is one line."""


@dataclass(frozen=True)
class SpeedSettings:
    """All that a figure depends on beside the block.

    Args:
        mode (str): ``'blocks'``, ``'backbones'`` or ``'detectors'``.
        train (bool): Forward and backward instead of inference. Defaults to False.
        amp (bool): Autocast, bfloat16 on a CPU and float16 elsewhere. Defaults to False.
        channels_last (bool): NHWC memory order. Defaults to False.
        size (tuple[int, int]): Height and width of the picture. Defaults to (800, 1333).
        batch (int): Pictures at a time. Defaults to 1.
        depth (int): Depth of the ResNet. Defaults to 50.
        base_channels (int): Its width. Defaults to 64.
        frozen_stages (int): As of mmdet's ResNet. Defaults to 1.
        rounds (int): Turns that every contender gets. Defaults to 7.
        threads (int): Threads of torch on the CPU. Defaults to 1.
        device (str): ``'cpu'`` or ``'cuda'``, with an index or without. Defaults to 'cpu'.
        against (tuple[str, ...]): Rivals beside ours, of :data:`RIVALS`. Defaults to all.
        config (str, optional): Detector config, for the mode ``'detectors'``. Defaults to None.

    Raises:
        BenchmarkError: If a value is not allowed; the message is one line.
    """

    mode: str
    train: bool = False
    amp: bool = False
    channels_last: bool = False
    size: tuple[int, int] = (800, 1333)
    batch: int = 1
    depth: int = 50
    base_channels: int = 64
    frozen_stages: int = 1
    rounds: int = 7
    threads: int = 1
    device: str = 'cpu'
    against: tuple[str, ...] = RIVALS
    config: str | None = None

    def __post_init__(self) -> None:
        _check_choice('mode', self.mode, MODES)
        _check_choice('depth', self.depth, DEPTHS)
        _check_choice('frozen_stages', self.frozen_stages, range(-1, 4))
        for rival in self.against:
            _check_choice('against', rival, RIVALS)
        if min(self.size) < SMALLEST_SIDE:
            height, width = self.size
            raise BenchmarkError(
                f'size {height} {width} is too small: give at least {SMALLEST_SIDE} for both sides'
            )
        for name in ('batch', 'base_channels', 'rounds', 'threads'):
            if getattr(self, name) < 1:
                raise BenchmarkError(f'{name} {getattr(self, name)} must be 1 or more')
        if self.mode == 'detectors' and not (self.config and Path(self.config).is_file()):
            raise BenchmarkError(f'{self.config}: no such config file; check --config')
        _check_device(self.device)
        if self.mode == 'detectors' and self.amp and self.device == 'cpu':
            raise BenchmarkError(
                "mmcv's own operators know no half precision on a CPU: leave --amp out, or measure "
                'backbones'
            )

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


def check_blocks(names: Sequence[str]) -> tuple[str, ...]:
    """Names of blocks, each once; raise a BenchmarkError for one that does not exist."""
    known = [name for name in NAMES if name != 'none']
    for name in names:
        _check_choice('block', name, known)
    return tuple(dict.fromkeys(names))


def environment(settings: SpeedSettings) -> dict[str, str]:
    """Machine and versions, which the figures depend on too."""
    has_tf32 = settings.device != 'cpu' and torch.backends.cudnn.allow_tf32
    return {
        'device': device_name(settings.device),
        'torch': torch.__version__,
        'ge_det': ge_det.__version__,
        'float32': 'TF32 in convolutions' if has_tf32 else 'float32',
    }


def device_name(device: str) -> str:
    """What the maker calls the GPU or the CPU."""
    if device != 'cpu':
        return torch.cuda.get_device_name(device)
    with contextlib.suppress(OSError):
        for line in Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()


def _check_choice(what: str, value: Any, choices: Iterable[Any]) -> None:
    if value not in choices:
        listed = ', '.join(map(str, choices))
        raise BenchmarkError(f'{what} {value!r} is unknown: choose from {listed}')


def _check_device(device: str) -> None:
    try:
        kind = torch.device(device)
    except RuntimeError as error:
        raise BenchmarkError(f'device {device!r} is unknown: give cpu or cuda') from error
    if kind.type not in ('cpu', 'cuda') or device == 'cpu:0':
        raise BenchmarkError(f'device {device!r} is not measured: give cpu or cuda')
    if kind.type == 'cuda' and (kind.index or 0) >= torch.cuda.device_count():
        raise BenchmarkError(
            f'device {device!r}: torch sees no such GPU here; give cpu, or mend the driver or '
            'install a torch with CUDA'
        )
