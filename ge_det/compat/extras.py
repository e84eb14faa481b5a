"""What to install where a part of ge_det needs more than torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from ge_det.errors import UserError

STACK = frozenset(('mmengine', 'mmcv', 'mmdet', 'mmpretrain'))
"""What the extras ``openmmlab`` and ``onedl`` bring beside those that ``detect`` has."""

# Broken where it is missing: whoever installed ge_det has it.
_CORE = ('torch', 'numpy', 'safetensors', 'filelock', 'ge_det')


def command_for(error: ImportError) -> str:
    """The command that brings what an import lacks, with its extra; '' where none does."""
    package = (error.name or '').partition('.')[0]
    if not isinstance(error, ModuleNotFoundError) or not package or package in _CORE:
        return ''
    if importlib.util.find_spec(package) is not None:  # It is there, and lacks a part.
        return ''
    return extra_of(package)


def extra_of(package: str) -> str:
    """The command that brings a package of the detection side, with the extra that has it."""
    if package in STACK or importlib.util.find_spec('mmengine') is None:
        return (
            "pip install --no-build-isolation 'ge-det[openmmlab]', or 'ge-det[onedl]' for the "
            'maintained forks'
        )
    return "pip install 'ge-det[detect]'"


def check_export(*packages: str) -> None:
    """Raise a UserError if one of these packages of the extra ``export`` is not installed."""
    _check_extra('export', packages)


def check_inspect(*packages: str) -> None:
    """Raise a UserError if one of these packages of the extra ``inspect`` is not installed."""
    _check_extra('inspect', packages)


def _check_extra(extra: str, packages: Sequence[str]) -> None:
    for name in packages:
        if importlib.util.find_spec(name) is None:
            raise UserError(f"{name} is not installed here: pip install 'ge-det[{extra}]'")


def told_missing(error: ImportError) -> str:
    """What something needs that does not import, and what brings it, as the end of a sentence."""
    if command := command_for(error):
        return f'needs {(error.name or "").partition(".")[0]}, which is not installed: {command}'
    return (
        f'needs a package that does not import here ({error}); `ge-det doctor` names the command '
        'that mends it'
    )
