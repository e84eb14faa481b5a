"""Memory over ten thousand steps of each block."""

from __future__ import annotations

import gc
import os
import warnings
from pathlib import Path

import torch
from torch import nn

from ge_det.catalogue import BLOCKS, attention_config
from ge_det.registry import MODELS

from ..parallel import in_parallel
from ..place import Place
from ..table import Table

STEPS = 10_000
_ALLOWED = 4 << 20  # Bytes; what an allocator may hold back, far below one a step.
ABOUT = (
    f'Each block, {STEPS:,} steps of training on maps of changing sizes, forward, backward and '
    f'optimizer, then {STEPS // 5:,} of inference. Resident memory after the first tenth against '
    'the end.'
)


def run(place: Place, jobs: int) -> Table:
    """Step through every block."""
    table = Table('Growth', ABOUT, ['block', 'training', 'inference'])
    names = list(BLOCKS)
    for name, grown in zip(names, in_parallel(_growth, names, jobs), strict=True):
        table.rows.append([name, *(f'{value / 1024:+,.0f} kB' for value in grown)])
        table.faults += [f'{name}: {v >> 20} MB' for v in grown if v > _ALLOWED]
    return table


def _growth(name: str) -> tuple[int, int]:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    options = dict(attention_config(name, 16) or {}, in_channels=16)
    if options.get('extent') == 'global' and options['variant'] != 'theta_minus':
        options['grid'] = (8, 8)
    block = MODELS.build(options)
    network = nn.Sequential(nn.Conv2d(8, 16, 1), nn.BatchNorm2d(16), block)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)

    def train(step: int) -> None:
        optimizer.zero_grad()
        network(torch.randn(2, 8, 5 + step % 7, 6 + step % 5)).square().mean().backward()
        optimizer.step()

    def infer(step: int) -> None:
        with torch.inference_mode():
            network(torch.randn(1, 8, 5 + step % 7, 6 + step % 5))

    grown = []
    warnings.filterwarnings('ignore', message='a gate in training normalises')
    for is_training, step_once, steps in ((True, train, STEPS), (False, infer, STEPS // 5)):
        network.train(is_training)
        start = 0
        for step in range(steps):
            step_once(step)
            if step == steps // 10:
                start = _resident()
        grown.append(_resident() - start)
    return grown[0], grown[1]


def _resident() -> int:
    gc.collect()
    pages = int(Path('/proc/self/statm').read_text(encoding='ascii').split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE')
