"""The arguments that mmdet's ResNet takes, checked before it sees them.

mmdet asserts without a word, fails inside a layer, or takes a wrong value for another.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from mmdet.models.backbones.resnet import ResNet
from mmengine.registry import MODELS

from ge_det.block_config import check_postfix
from ge_det.blocks.checks import check_choice, check_positive_int

_FLAGS = ('deep_stem', 'avg_down', 'norm_eval', 'with_cp', 'zero_init_residual')


def resnet_arguments(
    depth: int, num_stages: int, plugins: Any, given: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments for mmdet's ResNet; those by stage default to as many stages as there are.

    Args:
        depth (int): One of those that there are.
        num_stages (int): As the user gave it.
        plugins (list[dict], optional): As the user gave them.
        given (Mapping[str, Any]): All others that the user gave.

    Returns:
        dict[str, Any]: ``given``, and what its defaults have to be.

    Raises:
        ValueError: If one is unknown or has a value that is not allowed; the message names both
            and what is allowed.
    """
    known = inspect.signature(ResNet.__init__).parameters
    unknown = sorted(set(given) - set(known))
    if unknown:
        takes = ', '.join(name for name in known if name != 'self')
        raise ValueError(
            f'AttentionResNet does not take {", ".join(unknown)}; beside its own arguments it '
            f'takes those of mmdet.ResNet: {takes}'
        )
    check_choice('num_stages', num_stages, (1, 2, 3, 4))
    by_stage = dict(
        strides=(1, 2, 2, 2)[:num_stages],
        dilations=(1,) * num_stages,
        out_indices=tuple(range(num_stages)),
        stage_with_dcn=(False,) * num_stages,
    )
    defaults = {name: parameter.default for name, parameter in known.items()}
    values = {**defaults, **by_stage, **given}
    _check_values(depth, num_stages, values)
    if not isinstance(plugins, (list, tuple, type(None))):
        raise ValueError(f'plugins={plugins!r} is not allowed: it must be a list of dicts')
    for plugin in plugins or ():
        _check_plugin(depth, num_stages, plugin)
    return {**by_stage, **given}


def _check_values(depth: int, stages: int, values: Mapping[str, Any]) -> None:
    for name in ('in_channels', 'base_channels'):
        check_positive_int(name, values[name])
    if values['stem_channels'] is not None:
        check_positive_int('stem_channels', values['stem_channels'])
    check_choice('style', values['style'], ('pytorch', 'caffe'))
    for name in _FLAGS:
        check_choice(name, values[name], (True, False))
    width = values['stem_channels'] or values['base_channels']
    if values['deep_stem'] and width % 2:
        raise ValueError(
            f'deep_stem=True is not allowed with {width} channels: it needs an even number'
        )
    for name in ('strides', 'dilations'):
        _check_stages(name, values[name], stages, 'positive integer', _is_positive)
    _check_stages('stage_with_dcn', values['stage_with_dcn'], stages, 'bool', _is_bool)
    _check_out_indices(values['out_indices'], stages)
    for name in ('conv_cfg', 'dcn'):
        if values[name] is not None:
            _check_typed(name, values[name])
    if values['dcn'] is not None and depth < 50:
        raise ValueError(f'dcn is not allowed with depth={depth}: it needs depth 50, 101 or 152')
    _check_typed('norm_cfg', values['norm_cfg'])


def _is_positive(value: object) -> bool:
    return type(value) is int and value > 0


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _check_stages(
    name: str, value: Any, stages: int, kind: str, is_one: Callable[[object], bool]
) -> None:
    if not isinstance(value, (tuple, list)) or len(value) != stages or not all(map(is_one, value)):
        raise ValueError(
            f'{name}={value!r} is not allowed: it must hold one {kind} for each of the '
            f'{stages} stages (num_stages={stages})'
        )


def _check_out_indices(value: Any, stages: int) -> None:
    allowed = range(stages)
    is_list = isinstance(value, (tuple, list)) and all(type(index) is int for index in value)
    if not is_list or not value or not set(value) <= set(allowed) or sorted(set(value)) != [*value]:
        raise ValueError(
            f'out_indices={value!r} is not allowed: it must hold at least one of '
            f'{", ".join(map(str, allowed))}, in ascending order (num_stages={stages})'
        )


def _check_typed(name: str, value: Any) -> None:
    if not isinstance(value, dict) or 'type' not in value:
        raise ValueError(f'{name}={value!r} is not allowed: it must be a dict with a type')
    kind = value['type']
    with MODELS.switch_scope_and_registry(None) as models:  # As mmcv asks, which then names None.
        if isinstance(kind, str) and models.get(kind) is None:
            known = {*MODELS.module_dict, *models.module_dict}
            near = sorted(get_close_matches(kind, known, n=3))
            hint = f'; did you mean {", ".join(near)}?' if near else ''
            raise ValueError(f'{name}: there is no {kind!r} in the registry{hint}')


def _check_plugin(depth: int, stages: int, plugin: Any) -> None:
    entries = {'cfg', 'position', 'stages'}
    if not isinstance(plugin, dict) or not {'cfg', 'position'} <= set(plugin) <= entries:
        raise ValueError(
            f'plugins holds {plugin!r}, which is not allowed: it must be a dict with cfg, position '
            "and, if not for all, stages, such as dict(cfg=dict(type='ContextBlock', ratio=0.25), "
            "position='after_conv2')"
        )
    _check_typed('cfg of plugins', plugin['cfg'])
    check_postfix(plugin['cfg'])
    convolutions = (1, 2) if depth < 50 else (1, 2, 3)
    if plugin['position'] not in [f'after_conv{number}' for number in convolutions]:
        where = 'ResNet-18 and 34' if depth < 50 else f'ResNet-{depth}'
        allowed = ', '.join(f"'after_conv{number}'" for number in convolutions)
        raise ValueError(
            f'position={plugin["position"]!r} is not allowed in plugins of {where}: it must be '
            f'one of {allowed}'
        )
    if plugin.get('stages') is not None:
        _check_stages('stages of plugins', plugin['stages'], stages, 'bool', _is_bool)
