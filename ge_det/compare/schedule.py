"""The changes that make a config's training shorter or longer, its schedule of the rate with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ge_det.config_reader import type_name
from ge_det.errors import UserError

_BOUNDS = ('begin', 'end', 'T_max', 'total_steps', 'periods', 'milestones', 'step_size')
_WARM_UPS = ('LinearLR', 'ConstantLR')


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
    share = epochs / old
    changes = [f'train_cfg.max_epochs={epochs}', *_scaled(cfg.get('param_scheduler'), share)]
    if (begin := cfg.train_cfg.get('val_begin', 1)) > 1:
        changes.append(f'train_cfg.val_begin={max(1, round(begin * share))}')
    return changes


def _scaled(schedulers: Any, share: float) -> Iterator[str]:
    """What has a length, in proportion; a warm-up that counts iterations only gets shorter."""
    several = isinstance(schedulers, (list, tuple))
    for place, one in enumerate(schedulers if several else [schedulers or {}]):
        begin = 0
        is_warm_up = not one.get('by_epoch', True) and type_name(one.get('type')) in _WARM_UPS
        for key in () if is_warm_up and share > 1 else _BOUNDS:
            where, value = f'param_scheduler{f".{place}" if several else ""}.{key}', one.get(key)
            if isinstance(value, int) and value:
                least = begin + 1 if key == 'end' else 1
                scaled = max(least, round(value * share))
                begin = scaled if key == 'begin' else begin
                yield f'{where}={scaled}'
            elif isinstance(value, (list, tuple)):
                yield f'{where}=[{",".join(str(max(1, round(step * share))) for step in value)}]'
