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
    with (work_dir / 'sessions.jsonl').open('a', encoding='utf-8') as file:
        file.write(json.dumps(_session()) + '\n')


def machine_and_versions(work_dir: Path) -> dict[str, Any]:
    """Those of a training, for its result; what changed between its starts is joined by commas.

    Args:
        work_dir (Path): Of the training. Without a note, this process stands for it.
    """
    file = work_dir / 'sessions.jsonl'
    lines = file.read_text(encoding='utf-8').splitlines() if file.is_file() else []
    sessions = [json.loads(line) for line in lines if line.endswith('}')] or [_session()]
    found: dict[str, Any] = {}
    for part, last in sessions[-1].items():
        found[part] = {}
        for name, value in last.items():
            values = dict.fromkeys(session[part].get(name) for session in sessions)
            found[part][name] = value if len(values) == 1 else ', '.join(map(str, values))
    return found


def _session() -> dict[str, Any]:
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    threads = torch.get_num_threads()
    machine = dict(cpu=_processor(), cores=os.cpu_count(), threads=threads, gpu=gpu)
    return dict(machine=machine, versions=_versions())


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
    described = subprocess.run(
        ['git', 'describe', '--always', '--dirty'],
        cwd=Path(ge_det.__file__).parents[1],
        capture_output=True,
        text=True,
    )
    if described.returncode == 0:
        versions['commit'] = described.stdout.strip()
    return versions
