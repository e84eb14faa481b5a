"""Look at a config's model before anything runs."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.registry import DefaultScope
from torch import nn

from ge_det.config_reader import read_model


def build_without_memory(config: str, cfg_options: dict[str, Any] | None = None) -> nn.Module:
    """Build a config's model on the meta device: shapes and names, no weights.

    Args:
        config (str): Path of the config.
        cfg_options (dict, optional): Changes to it, as from ``--cfg-options``. Defaults to None.

    Returns:
        nn.Module: The model.

    Raises:
        UserError: If the config cannot be read, or has no model.
        ValueError: If an argument of the model is not allowed.
    """
    from mmdet.registry import MODELS

    cfg = read_model(config, cfg_options)
    scope = DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdet'))
    with scope, torch.device('meta'):
        return MODELS.build(cfg.model)
