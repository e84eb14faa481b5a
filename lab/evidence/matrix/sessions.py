"""Where and with what a training ran, noted by the training itself, every time it starts."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import ge_det

_LIBRARIES = ('torch', 'numpy', 'mmengine', 'mmcv', 'mmdet', 'mmpretrain', 'pycocotools')


def note_session(work_dir: Path) -> None:
    """Add a line about this process, which trains, to ``sessions.jsonl`` of its work dir."""
    line = json.dumps(dict(machine=_machine(), versions=_versions()))
    with (work_dir / 'sessions.jsonl').open('a', encoding='utf-8') as file:
        file.write(line + '\n')


def told_sessions(work_dir: Path) -> dict[str, Any]:
    """Machine and versions of a training, for its result; those that changed are told with commas.

    Args:
        work_dir (Path): Of the training. Without a note, this process stands for it.
    """
    file = work_dir / 'sessions.jsonl'
    lines = file.read_text(encoding='utf-8').splitlines() if file.is_file() else []
    found = [json.loads(line) for line in lines if line.endswith('}')]
    found = found or [dict(machine=_machine(), versions=_versions())]
    return {part: _joined([session[part] for session in found]) for part in found[-1]}


def _joined(sessions: list[dict[str, Any]]) -> dict[str, Any]:
    told = {}
    for name, last in sessions[-1].items():
        values = list(dict.fromkeys(session.get(name) for session in sessions))
        told[name] = last if len(values) == 1 else ', '.join(map(str, values))
    return told


def _machine() -> dict[str, Any]:
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return dict(cpu=_processor(), cores=os.cpu_count(), threads=torch.get_num_threads(), gpu=gpu)


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
        return next(line.split(':')[1].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    versions = dict(python=platform.python_version(), ge_det=ge_det.__version__)
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    root = Path(ge_det.__file__).parents[1]
    described = subprocess.run(
        ['git', 'describe', '--always', '--dirty'], cwd=root, capture_output=True, text=True
    )
    if described.returncode == 0:
        versions['commit'] = described.stdout.strip()
    return versions
