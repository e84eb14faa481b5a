"""The changes that make a config's training shorter or longer, its schedule of the rate with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ge_det.errors import UserError

_BOUNDS = ('begin', 'end', 'T_max', 'milestones', 'step_size')


def epoch_changes(config: str, cfg: Any, epochs: int) -> list[str]:
    """Words of ``--cfg-options`` for another number of epochs.

    Args:
        config (str): Path of the config, for the message.
        cfg (Config): Its content.
        epochs (int): How many.

    Raises:
        UserError: If it does not train by epochs.
    """
    old = (cfg.get('train_cfg') or {}).get('max_epochs')
    if not isinstance(old, int):
        raise UserError(f'{config}: it trains by iterations; leave --epochs out')
    return [f'train_cfg.max_epochs={epochs}', *_scaled(cfg.get('param_scheduler'), epochs / old)]


def _scaled(schedulers: Any, share: float) -> Iterator[str]:
    """What counts epochs, in proportion; a warm-up counts iterations, and only gets shorter."""
    several = isinstance(schedulers, (list, tuple))
    for place, one in enumerate(schedulers if several else [schedulers or {}]):
        begin = 0
        for key in _BOUNDS if share < 1 or one.get('by_epoch', True) else ():
            where, value = f'param_scheduler{f".{place}" if several else ""}.{key}', one.get(key)
            if isinstance(value, int) and value:
                least = begin + 1 if key == 'end' else 1
                scaled = max(least, round(value * share))
                begin = scaled if key == 'begin' else begin
                yield f'{where}={scaled}'
            elif isinstance(value, (list, tuple)):
                yield f'{where}=[{",".join(str(max(1, round(step * share))) for step in value)}]'
