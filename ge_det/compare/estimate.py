"""How long a training takes on this machine, by some of its iterations."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_START = 15.0  # Seconds until the first iteration, and at the end.


def training_seconds(cfg: Any, train: int, val: int) -> float:
    """Seconds of a training with its validations; NaN if that cannot be measured.

    Args:
        cfg (Config): Its config.
        train (int): Pictures to train on.
        val (int): Pictures to validate on.
    """
    from ge_det.recipe.measure import measure

    loop, batch = cfg.train_cfg, cfg.train_dataloader.get('batch_size', 1)
    try:
        with TemporaryDirectory(prefix='ge_det-') as folder:
            file = Path(folder, 'config.py')
            text = (f'{name} = {value!r}\n' for name, value in cfg.to_dict().items())
            file.write_text(''.join(text), encoding='utf-8')
            pace = measure(file)
    except Exception:  # What is wrong with it, the training itself tells.
        return math.nan
    epochs = loop.get('max_epochs')
    iterations = epochs * math.ceil(train / batch) if epochs else loop.get('max_iters', math.nan)
    validations = math.ceil((epochs or iterations) / loop.get('val_interval', 1))
    return _START + iterations * pace.iteration + validations * val * pace.val_picture
