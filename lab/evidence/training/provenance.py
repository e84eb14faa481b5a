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

    Without a note in the work dir, this process stands for the training.
    """
    file = work_dir / 'sessions.jsonl'
    text = file.read_text(encoding='utf-8', errors='replace') if file.is_file() else ''
    sessions = [*filter(None, map(_read, text.splitlines()))] or [_session()]
    found: dict[str, Any] = {part: dict(last) for part, last in sessions[-1].items()}
    for part, last in found.items():
        for name in last:
            values = dict.fromkeys(session[part].get(name) for session in sessions)
            if len(values) > 1:
                last[name] = ', '.join(map(str, values))
    return found


def _read(line: str) -> dict[str, Any] | None:
    """The session in a line; None for one that a killed process was writing, or damage."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_session = isinstance(found, dict) and found.keys() == {'machine', 'versions'}
    return found if is_session and all(isinstance(v, dict) for v in found.values()) else None


def _session() -> dict[str, Any]:
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    threads = torch.get_num_threads()
    machine = dict(cpu=_processor(), cores=os.cpu_count(), threads=threads, gpu=gpu)
    versions = dict(python=platform.python_version(), ge_det=ge_det.__version__)
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    git = ['git', '-C', str(Path(__file__).parent), 'describe', '--always', '--dirty']
    described = subprocess.run(git, capture_output=True, text=True)
    if described.returncode == 0:
        versions['commit'] = described.stdout.strip()
    return dict(machine=machine, versions=versions)


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
        return next(line.split(':')[1].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
