"""Whether a change of ``--cfg-options`` changes anything: MMEngine takes every name without a word.

A variable that a config is written with, such as ``scale``, stays in it, but has been used up where
the file was read; nothing reads a misspelt name.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from ge_det.errors import UserError

_ALSO_READ = (  # What is not an argument of MMEngine's Runner.
    *('activation_checkpointing', 'compile', 'custom_imports', 'efficient_conv_bn_eval'),
    *('find_unused_parameters', 'model_wrapper_cfg', 'mp_start_method', 'opencv_num_threads'),
    *('runner_type', 'sync_bn', 'tta_model', 'tta_pipeline'),
)


def check_is_read(key: str, value: Any, cfg: Any, config: str) -> None:
    """Raise a UserError if nothing reads a name at the top of a config.

    A dict that only a hook can know is left alone.

    Args:
        key (str): The name, and what follows it after a dot.
        value (Any): Its new value, for the message.
        cfg (Config): The config before the change.
        config (str): Its path.
    """
    name, dot, rest = key.partition('.')
    if 'runner_type' in cfg or name in (known := read_names()):
        return
    whole = cfg.to_dict()
    places = list(_places(whole))
    if name not in cfg:
        near = [place for place, last, _ in places if last == name and '.' in place]
        near = near or get_close_matches(name, {*known, *cfg}, n=1)
        hint = f'did you mean {near[0]!r}?' if near else 'name one of it, such as model.type'
        raise UserError(f'--cfg-options {key}={value}: no such option in {config}; {hint}')
    old = whole[name]
    told = [
        place + dot + rest
        for place, last, there in places
        if '.' in place and there == old and (last == name or _is_telling(old))
        if place.partition('.')[0] in known
    ]
    if told or not isinstance(old, dict):
        where = f'give the full key ({", ".join(told[:4])})' if told else 'give the full key'
        raise UserError(
            f'--cfg-options {key}={value}: changes nothing, for {name!r} is used up while {config} '
            f'is read; {where}, or edit the file'
        )


def of_short_names(changes: Mapping[str, Any], cfg: Any) -> dict[str, Any]:
    """What goes with changes inside of an attention that is a text: ``dict(type=TEXT)`` for it.

    Args:
        changes (dict): The changes of ``--cfg-options``, such as ``model.backbone.attention.type``.
        cfg (Config): The config before them.
    """
    found: dict[str, Any] = {}
    for key in changes:
        place, dot, _ = key.rpartition('attention.')
        value, place = cfg.to_dict(), f'{place}{dot}'[:-1]
        for part in place.split('.') if place else ():
            value = value.get(part) if isinstance(value, dict) else None
        kind = changes.get(f'{place}.type', value)
        if isinstance(value, str) and kind != 'none':
            found |= {f'{place}._delete_': True, f'{place}.type': kind}
    return found


def text_in_the_way(key: str, cfg: Any) -> str | None:
    """Why a change goes inside of nothing: a text stands there, such as an attention's short name.

    Args:
        key (str): What is to be changed.
        cfg (Config): The config before the change.
    """
    parts, value = key.split('.'), cfg.to_dict()
    for number, part in enumerate(parts):
        if isinstance(value, str):
            place = '.'.join(parts[:number])
            return f'{place} is the text {value!r} there; give {place}=VALUE'
        value = value.get(part) if isinstance(value, dict) else None
    return None


def read_names() -> set[str]:
    """Names at the top of a config that MMEngine or a tool of mmdet's reads."""
    from mmengine.runner import Runner

    return {*inspect.signature(Runner.__init__).parameters, *_ALSO_READ} - {'self', 'cfg'}


def _is_telling(value: Any) -> bool:
    """Whether an equal value elsewhere is hardly one by chance."""
    return isinstance(value, (str, list, tuple, dict)) and bool(value)


def _places(value: Any, before: str = '') -> Iterator[tuple[str, str, Any]]:
    """Each value inside of a config with its full key and the last part of that."""
    named = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in named:
        yield f'{before}{key}', str(key), one
        if isinstance(one, (dict, list, tuple)):
            yield from _places(one, f'{before}{key}.')
