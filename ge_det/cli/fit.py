"""See that a checkpoint is of a config's model, before anything runs.

MMEngine loads what fits of a checkpoint and mentions the rest in its log, so testing with another
config's checkpoint gives a number that means nothing.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ge_det.config_reader import read_config
from ge_det.errors import CheckpointError
from ge_det.weights.checkpoint import read_state_dict
from ge_det.weights.fitting import fit_weights
from ge_det.weights.importing import PretrainedOptions


def check_fits(model: nn.Module, checkpoint: str) -> None:
    """Raise a CheckpointError unless a checkpoint holds just the model's tensors.

    Args:
        model (nn.Module): A detector, on any device.
        checkpoint (str): Path or URL of weights.

    Raises:
        CheckpointError: If it cannot be read, or a tensor is missing, left over or of another
            shape; the message is one line.
    """
    state = _read_model(checkpoint)
    own = model.state_dict()
    wanted = [key for key in own if not key.endswith('num_batches_tracked')]
    found = [
        ('lacks', [key for key in wanted if key not in state]),
        ('has more than it by', [key for key in state if key not in own]),
        (
            'has other shapes in',
            [k for k in wanted if k in state and state[k].shape != own[k].shape],
        ),
    ]
    clauses = [f'{what} {len(keys)} tensors, the first {keys[0]!r}' for what, keys in found if keys]
    if clauses:
        raise CheckpointError(
            f"{checkpoint} does not belong to this config's model of {len(wanted)} tensors: it "
            f'{"; it ".join(clauses)}. Give the config (and --cfg-options) it was trained with'
        )


def check_start(model: nn.Module, config: str, cfg_options: dict[str, Any] | None = None) -> None:
    """Check the weights that a training is to start from; a download is kept for it.

    Args:
        model (nn.Module): The config's model, on any device.
        config (str): Path of the config.
        cfg_options (dict, optional): Changes to it. Defaults to None.

    Raises:
        CheckpointError: If the file of ``pretrained=`` cannot be read or does not fit, or that of
            ``load_from`` has less than half of the model's tensors: MMEngine loads what fits and
            would train from scratch. Heads may differ, as for other classes.
        ValueError: If there is no such source.
    """
    for module in model.modules():
        options = getattr(module, 'pretrained', None)
        if isinstance(options, PretrainedOptions):
            fit_weights(module, options.checkpoint, options.source, options.strict)
    cfg = read_config(config, cfg_options)
    if not cfg.get('load_from') or cfg.get('resume'):
        return
    state = _read_model(cfg.load_from)
    own = model.state_dict()
    found = sum(key in state and state[key].shape == value.shape for key, value in own.items())
    if found < len(own) / 2:
        raise CheckpointError(
            f"load_from={cfg.load_from}: only {found} of the model's {len(own)} tensors are in "
            'it; weights of a backbone alone go to its pretrained='
        )


def _read_model(checkpoint: str) -> dict[str, Tensor]:
    """Weights of a whole model, without what DataParallel puts before their names."""
    return {k.removeprefix('module.'): v for k, v in read_state_dict(checkpoint).items()}
