"""Ten iterations with the photos themselves: what a training takes on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

from ge_det.unprinted import unprinted

_WARM_UP, _LEAST, _MOST = 3, 10, 60  # Iterations.
_SECONDS = 6.0  # Short iterations are measured for so long.


@dataclass(frozen=True)
class Pace:
    """How fast a training goes.

    Args:
        iteration (float): Seconds an iteration takes, loading included.
        val_picture (float): Seconds a picture takes that is measured on.
        only_alone (bool): Whether no other process can load pictures here. Defaults to False.
    """

    iteration: float
    val_picture: float
    only_alone: bool = False


def measure(config: Path) -> Pace:
    """Train some iterations of a config and detect in some pictures; nothing is kept.

    Args:
        config (Path): A config of :mod:`ge_det.config_writer`. What it is pretrained from is not
            loaded: it makes no difference to the time.
    """
    from mmdet.utils import register_all_modules
    from mmengine.config import Config
    from mmengine.device import get_device
    from mmengine.logging import MMLogger
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import MODELS, DefaultScope
    from mmengine.runner import Runner

    cfg = Config.fromfile(config, format_python_code=False)  # Formatting takes long.
    cfg.model.backbone.pretrained = None
    register_all_modules(init_default_scope=False)
    if not MMLogger.check_instance_created('recipe'):
        MMLogger.get_instance('recipe', log_level='ERROR')
    scope = DefaultScope.overwrite_default_scope('mmdet')
    with scope, unprinted():
        model: Any = MODELS.build(cfg.model)
        model.init_weights()
        model.to(get_device())
        optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
        loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
        val_loader = Runner.build_dataloader(cfg.val_dataloader, seed=0)
        model.train()
        iteration = _pace(
            _endless(loader), lambda batch: model.train_step(batch, optimizer), 'training'
        )
        model.eval()
        pictures = val_loader.batch_size or 1
        val_picture = _pace(_endless(val_loader), model.val_step, 'detecting') / pictures
    return Pace(iteration, val_picture)


def _endless(loader: Any) -> Iterator[Any]:
    return chain.from_iterable(repeat(loader))


def _pace(batches: Iterator[Any], step: Callable[[Any], object], what: str) -> float:
    """Mean seconds of a step, after the first ones; what comes with them is loaded before."""
    import torch
    from tqdm import tqdm  # type: ignore[import-untyped]

    with tqdm(desc=what, unit=' iterations', leave=False, disable=None) as bar:
        for batch in islice(batches, _WARM_UP):
            step(batch)
            bar.update()
        count, begin = 0, time.perf_counter()
        while count < _LEAST or (count < _MOST and time.perf_counter() - begin < _SECONDS):
            step(next(batches))
            bar.update()
            count += 1
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - begin) / count
