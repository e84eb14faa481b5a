"""How long a training is to be, and what comes after it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ge_det.cli.shell import shell_path
from ge_det.errors import UserError
from ge_det.words import counted


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
    done = f'all {counted(epochs, "epoch")} are' if epochs > 1 else 'the one epoch is'
    return [
        f'{done} done, so nothing is left to train; --cfg-options '
        f'train_cfg.max_epochs={2 * epochs} would go on'
    ]


def told_next(config: str, work_dir: Path, cfg: Any) -> list[str]:
    """What a training of a detector has left, and the command to go on.

    After one with a report that is to draw what it finds in other photos, else to measure it.
    """
    from ge_det.weights.trained import best_checkpoints
    from ge_det.weights.training_checkpoint import checkpoints  # It imports torch.

    best, last = best_checkpoints(work_dir)[:1], checkpoints(work_dir)[:1]
    if not (chosen := best or last):
        return []
    line = f'{"best" if best else "last"} checkpoint: {chosen[0]}'
    hooks = [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or [])]
    if not any('WriteReport' in str((hook or {}).get('type')) for hook in hooks):
        return [f'{line}; next: ge-det test {shell_path(config)} {shell_path(chosen[0])}']
    page = work_dir / 'report/index.html'
    newest = max(map(_written, [*best, *last]))
    if page.is_file() and _written(page) >= newest:  # Else of an earlier training.
        line += f'; report: {page}'
    return [line, f'next: ge-det infer PHOTOS --checkpoint {shell_path(work_dir)} --out drawn']


def _written(file: Path) -> float:
    return file.stat().st_mtime
