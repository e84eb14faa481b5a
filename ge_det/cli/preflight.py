"""Look at a config's model before anything runs."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from ge_det.errors import UserError, one_line


def read_config(config: str, cfg_options: dict[str, Any] | None = None) -> Config:
    """A config with the changes of ``--cfg-options`` to it.

    Raises:
        UserError: If it cannot be read; a config is code, and may fail in any way.
    """
    try:
        cfg = Config.fromfile(config)
        cfg.merge_from_dict(cfg_options or {})
    except Exception as error:
        raise UserError(f'{config}: not a config that can be read ({one_line(error)})') from error
    return cfg


def build_without_memory(config: str, cfg_options: dict[str, Any] | None = None) -> nn.Module:
    """Build a config's model on the meta device: shapes and names, no weights.

    Args:
        config (str): Path of the config.
        cfg_options (dict, optional): Changes to it, as from ``--cfg-options``. Defaults to None.

    Returns:
        nn.Module: The model.

    Raises:
        ValueError: If the config has no model, or an argument of the model is not allowed.
    """
    from mmdet.registry import MODELS

    cfg = read_config(config, cfg_options)
    if 'model' not in cfg:
        raise ValueError(f'{config}: there is no model in it; give the config of a detector')
    scope = DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdet'))
    with scope, torch.device('meta'):
        return MODELS.build(cfg.model)
