"""What a config gets wrong about a class that MMEngine builds an object of, on one line."""

from __future__ import annotations

import inspect
import os
import re
import traceback
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from ge_det.config_reader import inner_dicts, type_name
from ge_det.errors import one_line

_UNKNOWN = re.compile(r"(\w+)(?:\.__init__)?\(\) got an unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r'missing \d+ required .*arguments?: (.*)')
_OF_ANNOTATIONS = ('load_data_list', 'filter_data')  # Steps of mmdet's data sets.
_PLAIN = (str, int, float, bool, type(None), list, tuple)


def wrong_name(error: BaseException) -> str | None:
    """A line if a class does not exist, or an argument of it does not or is missing.

    Args:
        error (BaseException): What came out of MMEngine, with its traceback.
    """
    frame = _frame(error)
    if frame is None:
        return None
    wanted, kind, message = str(frame.get('obj_type')), frame.get('obj_cls'), one_line(error)
    if isinstance(error, KeyError) and kind is None and 'registry' in message:
        hint = near_name(wanted, frame['registry'])
        return f'{_option(error, frame)}there is no {wanted!r}{hint}'
    if not isinstance(error, TypeError) or not callable(kind):
        return None
    if unknown := _UNKNOWN.search(message):
        return _unknown(error, frame, *unknown.groups())
    if missing := _MISSING.search(message):
        return f'{_option(error, frame)}{_name(kind)} needs {missing[1]}; write it into the config'
    return None


def near_name(name: str, registry: Any) -> str:
    """A question after a class of MMEngine's registry with a like name, if there is one."""
    known = {one for place in (registry, registry.parent) if place for one in place.module_dict}
    return _near(name, sorted(known))


def told_of_build(error: BaseException) -> str | None:
    """A line if something failed while an object was being built of a config; else None.

    Args:
        error (BaseException): What came out of MMEngine, with its traceback.
    """
    if told := wrong_name(error):
        return told
    frame = _frame(error)
    if frame is None or not callable(kind := frame.get('obj_cls')):
        return None
    if told := _unreadable(error, frame['args']):
        return told
    plain = {key: value for key, value in frame['args'].items() if isinstance(value, _PLAIN)}
    given = [word for key, value in plain.items() if len(word := f'{key}={value!r}') < 60]
    return (
        f'{_option(error, frame)}{_name(kind)} cannot be built with '
        f'{", ".join(given) or "what it is given"} ({one_line(error)}); mend that'
    )


def _unreadable(error: BaseException, args: Mapping[str, Any]) -> str | None:
    """A line if it was the content of COCO annotations that failed."""
    name = args.get('ann_file')
    steps = [frame.f_code for frame in _frames(error)]
    reads = any('pycocotools' in c.co_filename or c.co_name in _OF_ANNOTATIONS for c in steps)
    if not isinstance(name, str) or not name.endswith('.json') or not reads:
        return None
    return (
        f'{os.path.join(args.get("data_root") or "", name)}: these annotations cannot be read '
        f'({type(error).__name__}: {one_line(error)}); run make-config again with --force, which '
        'says what is wrong'
    )


def _unknown(error: BaseException, frame: dict[str, Any], callee: str, argument: str) -> str | None:
    hint = ''
    if argument in frame['args']:
        where, callee = _option(error, frame, argument), _name(frame['obj_cls'])
        takes = list(dict.fromkeys(_parameters(frame['obj_cls'])))
        hint = _near(argument, takes) or f'; it takes {", ".join(takes)}'
    else:  # Of what this class has called with settings of the config, such as a DataLoader.
        where = next((f'{key}: ' for key, one in _settings(error) if argument in one), '')
        if not where:
            return None
    hint += '. Leave it out (_delete_=True in a dict drops what its _base_ has set)'
    return f'{where}{callee} does not take {argument!r}{hint}'


def _frames(error: BaseException) -> list[Any]:
    return [frame for frame, _ in traceback.walk_tb(error.__traceback__)]


def _frame(error: BaseException) -> dict[str, Any] | None:
    """What MMEngine's innermost function that builds an object knew."""
    builds = [frame for frame in _frames(error) if frame.f_code.co_name == 'build_from_cfg']
    known = builds[-1].f_locals if builds else {}
    return known if isinstance(known.get('args'), Mapping) else None


def _option(error: BaseException, frame: dict[str, Any], argument: str = 'type') -> str:
    """Where the config has this object, as for ``--cfg-options``, and a colon."""
    for key, one in _settings(error):
        numbers = {name: value for name, value in one.items() if isinstance(value, _PLAIN[:5])}
        same = all(frame['args'].get(name, value) == value for name, value in numbers.items())
        if same and argument in one and type_name(one.get('type')) == type_name(frame['obj_type']):
            return f'{key}: '
    return ''


def _settings(error: BaseException) -> Iterator[tuple[str, Any]]:
    """All dicts of the config at hand, and where they are."""
    from mmengine.config import Config

    configs = [frame.f_locals.get('cfg') for frame in _frames(error)]
    return inner_dicts('', next((one for one in configs if type(one) is Config), {}))


def _parameters(kind: Any) -> Iterator[str]:
    """Names of the arguments of a class, those that it hands on to its bases included."""
    for one in inspect.getmro(kind) if inspect.isclass(kind) else [kind]:
        call = vars(one).get('__init__') if inspect.isclass(one) else one
        if not inspect.isfunction(call):
            continue
        parameters = inspect.signature(call).parameters.values()
        yield from (p.name for p in parameters if p.name != 'self' and p.kind not in (2, 4))
        if not any(p.kind == 4 for p in parameters):
            return


def _name(kind: Any) -> str:
    return getattr(kind, '__name__', str(kind))


def _near(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f'; did you mean {near[0]!r}?' if near else ''
