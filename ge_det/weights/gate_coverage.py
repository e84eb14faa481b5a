"""Which gates a checkpoint fills: seen while it loads, or looked up before."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from mmengine.dist import barrier, get_rank, get_world_size
from mmengine.model import PretrainedInit
from torch import Tensor, nn

from ge_det.errors import CheckpointError

from .backbone_weights import read_backbone_weights
from .checkpoint import read_state_dict
from .importing import PretrainedOptions
from .matching import covers

InitCfg = dict[str, Any] | list[dict[str, Any]] | None


def note_coverage(
    covered: dict[str, bool],
    name: str,
    gate: nn.Module,
    state_dict: dict[str, Tensor],
    prefix: str,
    *_: Any,
) -> None:
    """Load hook: remember in ``covered`` whether a checkpoint holds every tensor of a gate."""
    covered[name] = covers(state_dict, gate, prefix)


def without_pretrained(init_cfg: InitCfg) -> list[dict[str, Any]] | None:
    """An ``init_cfg`` without MMEngine's ``Pretrained``, which ``pretrained=`` replaces."""
    kept = [cfg for cfg in _as_list(init_cfg) if not _is_pretrained(cfg)]
    return kept or None


def gates_in_checkpoint(
    gates: Mapping[str, nn.Module], options: PretrainedOptions | None, init_cfg: InitCfg
) -> frozenset[str]:
    """Gates a checkpoint will fill, known before the weights are loaded.

    DistributedDataParallel wraps the model before MMEngine initialises it and must not see a
    parameter become frozen afterwards.

    Args:
        gates (Mapping[str, nn.Module]): Gates by name.
        options (PretrainedOptions, optional): The backbone's ``pretrained``.
        init_cfg (dict | list[dict], optional): The backbone's ``init_cfg``.

    Returns:
        frozenset[str]: Names; empty if the checkpoint cannot be read, which ``init_weights`` will
        report, and testing does without.
    """
    names: frozenset[str] = frozenset()
    if not gates:
        return names
    for ranks in (range(1), range(1, get_world_size())):  # One process downloads first.
        try:
            if get_rank() in ranks:
                with suppress(CheckpointError):
                    names = _trained_gates(gates, options, init_cfg)
        finally:
            barrier()
    return names


def _trained_gates(
    gates: Mapping[str, nn.Module], options: PretrainedOptions | None, init_cfg: InitCfg
) -> frozenset[str]:
    if options is not None:
        weights = read_backbone_weights(options.checkpoint, options.source, options.key)
        return frozenset(name for name, gate in gates.items() if weights.trained(name, gate))
    for cfg in _as_list(init_cfg):
        if _is_pretrained(cfg):
            state = _under(read_state_dict(cfg['checkpoint']), cfg.get('prefix'))
            return frozenset(n for n, gate in gates.items() if covers(state, gate, f'{n}.'))
    return frozenset()


def _under(state: Mapping[str, Tensor], prefix: str | None) -> dict[str, Tensor]:
    """Entries under MMEngine's ``prefix``; without one, it strips ``module.`` at most."""
    prefix = 'module.' if prefix is None else f'{prefix.removesuffix(".")}.'
    found = {key[len(prefix) :]: v for key, v in state.items() if key.startswith(prefix)}
    return found or dict(state)


def _as_list(init_cfg: InitCfg) -> list[dict[str, Any]]:
    return list(init_cfg) if isinstance(init_cfg, list) else [init_cfg] if init_cfg else []


def _is_pretrained(cfg: Mapping[str, Any]) -> bool:
    return cfg.get('type') in ('Pretrained', PretrainedInit)
