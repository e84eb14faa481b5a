"""See that a checkpoint is of a config's model, before anything runs."""

from __future__ import annotations

from typing import Any

from torch import nn

from ge_det.cli.screen import show
from ge_det.config_reader import read_config
from ge_det.errors import DownloadError
from ge_det.weights.fitting import fit_weights
from ge_det.weights.importing import PretrainedOptions
from ge_det.weights.whole_model import check_fits, check_may_start

__all__ = ['check_fits', 'check_start']


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
