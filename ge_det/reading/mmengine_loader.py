"""MMEngine reads every checkpoint through :mod:`ge_det.reading.load`, and is given no config text.

MMEngine's runner reads ``meta['config']`` of a checkpoint it resumes from as a Python config, and
its inferencers ``meta['cfg']``: code. Some versions ask torch for the unsafe way besides. Training,
testing, ``load_from``, ``init_cfg`` and inference all get their checkpoints from one class of
MMEngine's, so the way is closed there, for mmdet's own tools as well.
"""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from threading import RLock
from typing import Any

from ge_det.errors import CheckpointError, without_secrets

from .load import check_torch, load
from .model_names import name_for_model
from .soundness import check_sound
from .values import Refused
from .weight_sets import find_sets, told_choice, without_wrappers

# Where MMEngine keeps the text of a config; what it needs of a checkpoint stands in no other key.
_CONFIGS = ('cfg', 'config')
_lock = RLock()


def register_loader() -> None:
    """Have MMEngine read checkpoints safely in this process; again changes nothing.

    Schemes that others register later are guarded as well: it is done where MMEngine looks them up.
    """
    from mmengine.runner import checkpoint as module

    loader = module.CheckpointLoader
    if module.load_from_http is load_from_ge_det:
        return
    module.load_state_dict = _naming(module.load_state_dict)
    loader.register_scheme(['http://', 'https://', ''], load_from_ge_det, force=True)
    # What the schemes of model zoos call.
    module.load_from_http = module.load_from_local = load_from_ge_det
    look_up = loader._get_checkpoint_loader

    def look_up_safely(path: str) -> Callable[..., Any]:
        found = look_up(path)
        return found if found is load_from_ge_det else _guarded(found)

    loader._get_checkpoint_loader = look_up_safely


def load_from_ge_det(filename: str, map_location: Any = None, **_: Any) -> Any:
    """Read a checkpoint for MMEngine, whose log takes the end of this name.

    Args:
        filename (str): Path or http(s) URL.
        map_location (Any): Taken for MMEngine's sake. Tensors stay on the CPU: models and
            optimizers copy them to where they are.

    Returns:
        Any: The content, without the texts of configs.

    Raises:
        CheckpointError: If it cannot be read, has not the form that MMEngine takes for granted, or
            holds numbers that no network is made of.
    """
    path, content = load(str(filename))
    return _for_runner(str(filename), path, content)


def _naming(original: Callable[..., Any]) -> Callable[..., Any]:
    """MMEngine's way of giving weights to a model, under the model's names."""

    def load_state_dict(module: Any, state_dict: Any, *args: Any, **options: Any) -> Any:
        return original(module, _named_for(module, state_dict), *args, **options)

    return load_state_dict


def _named_for(module: Any, state: Any) -> Any:
    from mmengine.logging import print_log
    from mmengine.model import BaseTTAModel, is_model_wrapper

    while is_model_wrapper(module) or isinstance(module, BaseTTAModel):
        module = module.module
    named = name_for_model(state, module.state_dict())
    if named.state.keys() == state.keys():
        return state
    if named.prefix:
        prefixes = [prefix.rstrip('.') for prefix in (named.prefix, *named.other_prefixes)]
        told = told_choice(prefixes[0], prefixes[1:]) or f'weights under {prefixes[0]!r} are taken'
        print_log(f'the checkpoint: {told}', 'current', logging.WARNING)
    found = OrderedDict(named.state)
    # Of the modules, which MMEngine looks up by their names, too.
    modules = {without_wrappers(f'{name}.'): name for name, _ in module.named_modules()}
    versions = {}
    for name, value in (getattr(state, '_metadata', None) or {}).items():
        plain = without_wrappers(f'{name}.').removeprefix(named.prefix)
        versions[modules.get(plain, plain[:-1])] = value
    found._metadata = OrderedDict(versions)  # type: ignore[attr-defined]
    return found


def _guarded(original: Callable[..., Any]) -> Callable[..., Any]:
    """A scheme of others, such as ``s3://``, made to use torch's safe reader."""

    def read_safely(filename: str, map_location: Any = None, **options: Any) -> Any:
        try:
            check_torch()
        except Refused as error:
            raise CheckpointError(f'{filename}: {error}') from error
        with _forced_safe():
            content = original(filename, map_location=map_location, **options)
        return _for_runner(filename, Path(filename), content)

    read_safely.__name__ = original.__name__
    return read_safely


@contextmanager
def _forced_safe() -> Iterator[None]:
    name = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
    with _lock:  # Else the first of two threads to end would end it for the other.
        before = os.environ.get(name)
        os.environ[name] = '1'
        try:
            yield
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before


def _for_runner(name: str, path: Path, content: Any) -> Any:
    if not isinstance(content, dict):
        return content
    check_sound(content, name)
    content = _with_weights(name, content)
    if content.get('meta') is not None:
        content['meta'] = _without(_CONFIGS, _mapping(name, content, 'meta'))
        _check_numbers(name, content['meta'])
    if 'message_hub' in content:
        hub = dict(_mapping(name, content, 'message_hub'))
        parts = {part: _mapping(name, hub, part) for part in hub}
        told = _without(_CONFIGS, parts.get('runtime_info', {}))
        info = _own_files(told, path)
        resumed = _without(tuple(told.keys() - info.keys()), parts.get('resumed_keys', {}))
        content['message_hub'] = {**parts, 'runtime_info': info, 'resumed_keys': resumed}
    for part in ('optimizer', 'ema_state_dict', 'state_dict'):
        if part in content:
            _mapping(name, content, part)
    return content


def _with_weights(name: str, content: dict[Any, Any]) -> dict[Any, Any]:
    """Its weights where MMEngine looks for them, under names without what wrappers put in."""
    from mmengine.logging import print_log

    place = 'state_dict' if 'state_dict' in content else ''
    sets = find_sets(content, as_runner=True)
    if told := told_choice(sets[0].key if sets else '', [one.key for one in sets[1:]]):
        print_log(f'{without_secrets(name)}: {told}', 'current', logging.WARNING)
    if not sets or (sets[0].key == place and sets[0].is_plain):
        return copy(content)  # With the versions of modules that a bare state dict carries.
    plain = sets[0].plain()
    state = OrderedDict(plain.state)
    state._metadata = OrderedDict(plain.versions)  # type: ignore[attr-defined]
    return {**content, 'state_dict': state}


def _mapping(name: str, content: Mapping[Any, Any], part: str) -> Mapping[Any, Any]:
    found = content[part]
    if not isinstance(found, Mapping):
        raise CheckpointError(
            f'{name}: its {part} is {type(found).__name__} where MMEngine keeps a dict; give a '
            'checkpoint that a training wrote, or its weights alone'
        )
    return found


def _without(keys: tuple[str, ...], mapping: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}


def _check_numbers(name: str, meta: Mapping[Any, Any]) -> None:
    for key in ('epoch', 'iter', 'seed'):
        value = meta.get(key)
        if value is not None and (type(value) is not int or value < 0):
            raise CheckpointError(
                f'{name}: its {key} is {value!r} and no number to go on from; give a checkpoint '
                'that a training wrote'
            )


def _own_files(info: dict[Any, Any], path: Path) -> dict[Any, Any]:
    """Let a checkpoint name only those beside itself: MMEngine removes which it takes for old."""
    kept = {}
    for key, value in info.items():
        text = str(key)
        if text.startswith('best_ckpt') or text == 'last_ckpt':
            beside = path.parent / Path(str(value)).name
            if not beside.is_file() or beside.suffix != path.suffix:
                continue
            value = str(beside)
        elif text == 'keep_ckpt_ids' and not _are_numbers(value):
            continue
        kept[key] = value
    return kept


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(number) is int for number in value)
