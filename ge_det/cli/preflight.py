"""Look at a config's model before anything runs."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from torch import nn

from ge_det.cli.screen import show
from ge_det.config_reader import read_config, read_model
from ge_det.errors import DownloadError, UserError, one_line
from ge_det.weights.fitting import fit_weights
from ge_det.weights.importing import PretrainedOptions
from ge_det.weights.whole_model import check_may_start


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
    return _build(config, cfg_options, torch.device('meta'))


def check_takes_pictures(
    model: nn.Module, config: str, cfg_options: dict[str, Any] | None = None
) -> None:
    """See that a picture passes backbone and neck: that what the one gives is what the other wants.

    Args:
        model (nn.Module): The model of :func:`build_without_memory`.
        config (str): Path of its config.
        cfg_options (dict, optional): Changes to it. Defaults to None.

    Raises:
        UserError: If it does not.
    """
    if _failure(model) is None:
        return
    # An operator of others may be strange to the meta device only.
    device = torch.device(get_device())
    error = _failure(_build(config, cfg_options, device).to(device))
    if error is not None and not isinstance(error, NotImplementedError):
        raise UserError(
            f'{config}: a picture does not pass the backbone and neck ({one_line(error)}); '
            'channels, strides and stages of the two must go together'
        ) from error


def _failure(model: nn.Module) -> Exception | None:
    extract = getattr(model, 'extract_feat', None)
    if extract is None:
        return None
    model.eval()
    try:
        with torch.no_grad():
            extract(torch.zeros(1, 3, 128, 128, device=next(model.parameters()).device))
    except Exception as error:  # Of networks of others, too.
        return error
    return None


def _build(config: str, cfg_options: dict[str, Any] | None, device: torch.device) -> nn.Module:
    from mmdet.registry import MODELS

    cfg = read_model(config, cfg_options)
    scope = DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdet'))
    with scope, device:
        return MODELS.build(cfg.model)


def check_start(model: nn.Module, config: str, cfg_options: dict[str, Any] | None = None) -> None:
    """Check the weights that a training is to start from; a download is kept for it.

    Tells what heads do not take from the file of ``load_from``.

    Args:
        model (nn.Module): The config's model, on any device.
        config (str): Path of the config.
        cfg_options (dict, optional): Changes to it. Defaults to None.

    Raises:
        CheckpointError: If the file of ``pretrained=`` or ``load_from`` cannot be read or does not
            fit.
        ValueError: If there is no such source.
    """
    for module in model.modules():
        options = getattr(module, 'pretrained', None)
        if isinstance(options, PretrainedOptions):
            try:
                fit_weights(module, options.checkpoint, options.source, options.strict, options.key)
            except DownloadError as error:
                raise DownloadError(
                    f'{error}; `ge-det make-config` with --from-scratch needs none'
                ) from error
    cfg = read_config(config, cfg_options)
    if cfg.get('load_from') and not cfg.get('resume'):
        for clause in check_may_start(model, cfg.load_from):
            show(f'load_from={cfg.load_from}: {clause}')
