"""How long a training is to be, and what comes after it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ge_det.cli.shell import shell_path
from ge_det.errors import UserError


def check_length(cfg: Any) -> None:
    """Raise a UserError if a config asks for no epoch or iteration at all."""
    wanted = cfg.get('train_cfg') or {}
    for key in ('max_epochs', 'max_iters'):
        value = wanted.get(key)
        if isinstance(value, int) and value < 1:
            raise UserError(f'train_cfg.{key}={value}: nothing would be trained; give 1 or more')


def told_done(cfg: Any, checkpoint: str | None) -> list[str]:
    """A line if the checkpoint to resume is already the last one, as its name tells."""
    epochs = (cfg.get('train_cfg') or {}).get('max_epochs')
    found = re.fullmatch(r'epoch_(\d+)\.pth', Path(checkpoint or '').name)
    if not isinstance(epochs, int) or found is None or int(found[1]) < epochs:
        return []
    return [
        f'all {epochs} epochs are done, so nothing is left to train; --cfg-options '
        f'train_cfg.max_epochs={2 * epochs} would go on'
    ]


def told_next(config: str, work_dir: Path) -> list[str]:
    """A line that names the checkpoint to take after a training of a detector, and the command."""
    from ge_det.weights.training_checkpoint import checkpoints  # It imports torch.

    best = sorted(work_dir.glob('best_*.pth'), key=lambda file: file.stat().st_mtime)
    last = checkpoints(work_dir)[:1]
    if not (chosen := best or last):
        return []
    words = f'ge-det test {shell_path(config)} {shell_path(chosen[-1])}'
    return [f'{"best" if best else "last"} checkpoint: {chosen[-1]}; next: {words}']
