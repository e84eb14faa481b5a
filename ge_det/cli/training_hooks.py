"""The hooks of a sound training or test, for configs that do not have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ge_det.config_reader import type_name
from ge_det.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config

# Of MMEngine, which takes None for these and fails at any other.
_LEFT_OUT_BY_NONE = {
    'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'
}  # fmt: skip

HOOKS = {
    'invalid_loss': 'ge_det.StopAtInvalidLoss',
    'randomness': 'ge_det.ResumableRandomness',
    'resumable': 'ge_det.ResumableCheckpoints',
    'progress': 'ge_det.TimelyProgress',
}
"""Types by their keys in a config's ``default_hooks``."""

TEST_HOOKS = {'progress': 'ge_det.TimelyProgress', 'precision': 'ge_det.ZeroPrecision'}
"""The same for a test."""


def missing_hooks(cfg: Config, command: str = 'train') -> list[str]:
    """Changes that add to a config the hooks that it lacks, as of ``--cfg-options``.

    Args:
        cfg (Config): The config.
        command (str): ``'train'`` or ``'test'``. Defaults to 'train'.

    Raises:
        UserError: If a hook is None that MMEngine has none of by itself.
    """
    wanted = HOOKS if command == 'train' else TEST_HOOKS
    named = cfg.get('default_hooks') or {}
    for key, hook in named.items():
        if hook is None and key not in _LEFT_OUT_BY_NONE:
            raise UserError(
                f'default_hooks.{key}=None: MMEngine leaves out only hooks of its own by None; '
                'take this one out of the config'
            )
    hooks = [*named.values(), *(cfg.get('custom_hooks') or [])]
    kinds = [hook.get('type') for hook in hooks if isinstance(hook, dict)]
    there = set(map(type_name, kinds))
    scope = cfg.get('default_scope') or 'mmengine'
    if any(_seeds(kind, scope) for kind in kinds):
        there.add(type_name(HOOKS['randomness']))
    return [
        f'default_hooks.{key}.type={kind}'
        for key, kind in wanted.items()
        if key not in named and type_name(kind) not in there
    ]


def _seeds(kind: Any, scope: str) -> bool:
    """Whether a hook of the user's says that it seeds the generators itself."""
    from mmengine.registry import HOOKS as REGISTRY

    if isinstance(kind, str):
        ours = REGISTRY.children.get(scope, REGISTRY).module_dict  # get would import all of it.
        kind = ours.get(kind) or REGISTRY.get(kind)
    return bool(getattr(kind, 'seeds_generators', False))
