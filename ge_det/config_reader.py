"""The one reader of config files: a config, or one line that says what to mend."""

from __future__ import annotations

import argparse
import ast
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ge_det.config_changes import check_is_read, of_short_names, text_in_the_way
from ge_det.errors import UserError, one_line
from ge_det.files import expanded, fit_name

if TYPE_CHECKING:
    from mmengine.config import Config

_FORMS: dict[str, tuple[Any, str]] = {
    'model': (dict, 'dict(type=...)'),
    'default_hooks': (dict, 'dict(NAME=dict(type=...))'),
    'custom_hooks': ((list, tuple), '[dict(type=...)]'),
}
# Names whose value is one path, or a part of one.
_PATHS = re.compile(r'(^|\.)(load_from|checkpoint|(\w+_)?(dir|file|root|prefix)|data_prefix\.\w+)$')


def read_config(config: str, cfg_options: dict[str, Any] | None = None) -> Config:
    """A config with the changes of ``--cfg-options`` to it.

    Args:
        config (str): Path of the config; ``~`` is the user's folder.
        cfg_options (dict, optional): Changes to it, values parsed. Defaults to None.

    Returns:
        Config: MMEngine's.

    Raises:
        UserError: If it cannot be read (a config is code, and may fail in any way), or a change
            changes nothing.
    """
    from mmengine.config import Config

    path = expanded(config)
    check_text_file(path)
    try:
        cfg = Config.fromfile(str(path))
    except (Exception, SystemExit) as error:
        reason = _reason(error, path)
        raise UserError(f'{config}: not a config that can be read ({reason})') from error
    cfg.merge_from_dict(of_short_names(cfg_options or {}, cfg))
    for key, value in (cfg_options or {}).items():
        check_is_read(key, value, cfg, config)
        try:
            cfg.merge_from_dict({key: value})
        except Exception as error:
            why = text_in_the_way(key, cfg) or f'does not go into {config} ({one_line(error)})'
            raise UserError(f'--cfg-options {key}={value}: {why}') from error
    return cfg


def read_model(config: str, cfg_options: dict[str, Any] | None = None) -> Config:
    """A config as of :func:`read_config` that describes a model.

    Raises:
        UserError: If it cannot be read, or there is no model in it.
    """
    cfg = read_config(config, cfg_options)
    if 'model' not in cfg:
        raise UserError(f'{config}: there is no model in it; give the config of a detector')
    for name, (kind, form) in _FORMS.items():
        value = cfg.get(name)
        if not isinstance(value, (kind, *[type(None)] * (name != 'model'))):
            raise UserError(f'{config}: its {name} is {value!r:.40}; write {name} = {form}')
    return cfg


def check_text_file(path: Path) -> None:
    """Raise a UserError unless a path is a file of UTF-8 text; nothing is waited for.

    Args:
        path (Path): A config.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # The latter of a name with a null character.
        raise UserError(f'{path}: no such config file; check the path') from error
    if stat.S_ISDIR(mode):
        raise UserError(f'{path}: is a folder; {file_instead(path)}')
    if not stat.S_ISREG(mode):
        raise UserError(f'{path}: not a file but a pipe or device; give a config file')
    content = path.read_bytes()
    if content.startswith(b'\xef\xbb\xbf'):
        raise UserError(f'{path}: begins with a byte order mark; save it as UTF-8 without one')
    try:
        content.decode('utf-8')
    except UnicodeDecodeError as error:
        raise UserError(f'{path}: not UTF-8 text (byte {error.start}); save it as UTF-8') from error


def file_instead(folder: Path, what: str = 'config') -> str:
    """What to give instead of a folder: the config that is named after it, if there is one.

    Args:
        folder (Path): What was given.
        what (str): The kind of file that is wanted. Defaults to 'config'.
    """
    name = f'{fit_name(folder.resolve().name)}.py'
    for file in (folder.resolve().parent / name, Path(name)):  # make-config writes it right here.
        if what == 'config' and file.is_file():
            return f'did you mean {Path(os.path.relpath(file))}?'
    return f'give the {what} file in it'


def check_change(word: str) -> tuple[str, str]:
    """Split a word of ``--cfg-options`` into key and value, both as text.

    Raises:
        UserError: If it is no KEY=VALUE, or the value a dict: MMEngine would take it, or a piece of
            it, for a name.
    """
    key, equals, value = word.partition('=')
    if not equals:
        raise UserError(f'--cfg-options: {word!r} is not KEY=VALUE')
    if not all(key.split('.')):
        raise UserError(f'--cfg-options {word}: {key!r} is no name; give one such as model.type')
    if _has_dict(value):
        raise UserError(
            f'--cfg-options {word}: MMEngine reads no dicts here; name their values one by one '
            f'({key}.NAME=VALUE) or write them into a config with _base_'
        )
    return key, value


def parse_change(word: str) -> dict[str, Any]:
    """Read a word of ``--cfg-options`` as MMEngine does, but leave paths and quoted text as given.

    Raises:
        UserError: If it cannot be read.
    """
    from mmengine.config.config import DictAction  # There, it may be ours under its name.

    key, value = check_change(word)
    if (text := _as_given(key, value)) is not None:
        return {key: text}
    space = argparse.Namespace(changes=None)
    try:
        DictAction([], 'changes', nargs='+')(argparse.ArgumentParser(), space, [word])
    except (RecursionError, AssertionError) as error:  # Of brackets it cannot follow.
        raise UserError(f'--cfg-options {key}: not a value, nor a list such as [a,b]') from error
    changes: dict[str, Any] = space.changes
    return changes


class Changes(argparse.Action):
    """MMEngine's ``DictAction`` by :func:`parse_change`; it imports nothing before it reads."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: str | None = None) -> None:
        """Add the changes of some words to those of earlier ones."""
        changes = dict(getattr(namespace, self.dest) or {})
        for word in values:
            changes |= parse_change(word)
        setattr(namespace, self.dest, changes)


def _as_given(key: str, value: str) -> str | None:
    """The text of a value that MMEngine would take spaces out of, split or make a number of."""
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in '\'"'
    text = value[1:-1] if is_quoted else value
    if text[:1] + text[-1:] in ('[]', '()'):
        return None
    if _PATHS.search(key):
        return None if text.lower() in ('none', 'true', 'false') else text
    has_more = ' ' in text or ',' in text
    return text if has_more and (is_quoted or os.path.exists(text)) else None


def _has_dict(value: str) -> bool:
    try:
        nodes = list(ast.walk(ast.parse(value.strip(), mode='eval')))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    calls = [node.func for node in nodes if isinstance(node, ast.Call)]
    return any(isinstance(node, ast.Dict) for node in nodes) or any(
        isinstance(function, ast.Name) and function.id == 'dict' for function in calls
    )


def _reason(error: BaseException, path: Path) -> str:
    """What is wrong with a config, for whoever wrote it."""
    if isinstance(error, RecursionError):
        return 'it never ends: a _base_ leads back to itself, or a list holds itself'
    if isinstance(error, FileNotFoundError) and error.filename not in (None, str(path)):
        return f'there is no {error.filename}, which it names as _base_ or opens'
    if isinstance(error, SystemExit):
        return 'it ends the process'
    if isinstance(error, SyntaxError) and error.lineno:
        return f'line {error.lineno}: {error.msg}'
    message = one_line(error)
    kind = type(error).__name__
    return message if message == kind else f'{kind}: {message}'


def inner_dicts(key: str, settings: Any) -> Iterator[tuple[str, Any]]:
    """The dicts within a dict or list, and itself if it has a key: their keys and contents."""
    if isinstance(settings, dict) and key:
        yield key, settings
    pairs = enumerate(settings) if isinstance(settings, (list, tuple)) else settings.items()
    for name, value in pairs:
        if isinstance(value, (dict, list, tuple)):
            yield from inner_dicts(f'{key}.{name}' if key else str(name), value)


def inner_data_sets(key: str, settings: Any) -> Iterator[tuple[str, Any]]:
    """The data sets within one that wraps or joins others, or itself: their keys and settings."""
    several, inner = settings.get('datasets'), settings.get('dataset')
    if isinstance(inner, dict):
        yield from inner_data_sets(f'{key}.dataset', inner)
    elif isinstance(several, (list, tuple)) and several:
        for index, one in enumerate(several):
            if isinstance(one, dict):
                yield from inner_data_sets(f'{key}.datasets.{index}', one)
    else:
        yield key, settings


def inner_data_set(loader: Any) -> Any:
    """Settings of the data set in a loader without what is wrapped around it; the first of several.

    Args:
        loader (dict): Of a config; an empty dict comes back for one that is not there.
    """
    found = (loader or {}).get('dataset')
    sets = inner_data_sets('dataset', found) if isinstance(found, dict) else ()
    return next((settings for _, settings in sets), {})


def type_name(wanted: Any) -> str:
    """The last part of a config's type, which may have a scope or be a class."""
    return str(getattr(wanted, '__name__', wanted)).rpartition('.')[2]
