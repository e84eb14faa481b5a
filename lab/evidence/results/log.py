"""What MMEngine wrote about a run: progress, losses and metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def log_files(work_dir: Path) -> list[Path]:
    """Files of every (resumed) training in a work dir, the oldest first.

    MMEngine writes each record twice: into ``scalars.json``, which comes after the other here, and
    into a file named like the folder.
    """
    return sorted(work_dir.glob('*/vis_data/*.json'))


def read_scalars(work_dir: Path) -> list[Record]:
    """Records of every (resumed) training in a work dir, the latest word on each step.

    Training ones have ``loss`` and ``iter``, validation ones ``coco/bbox_mAP`` and so on; both have
    ``step``, and are in its order. Lines that make no sense are left out.
    """
    latest: dict[tuple[bool, int], Record] = {}
    for file in log_files(work_dir):
        for line in file.read_text(encoding='utf-8', errors='replace').splitlines():
            if record := _record(line):
                latest['loss' in record, record['step']] = record
    return [latest[key] for key in sorted(latest, key=lambda key: (key[1], key[0]))]


def training_records(work_dir: Path) -> list[Record]:
    """Those with losses."""
    return [record for record in read_scalars(work_dir) if 'loss' in record]


def iterations_done(work_dir: Path) -> int:
    """Last iteration that a training reported."""
    return max((record['step'] for record in training_records(work_dir)), default=0)


def _record(line: str) -> Record | None:
    """The numbers in a line; None for one that a killed process was writing, or damage."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or type(found.get('step')) is not int:
        return None
    return {name: value for name, value in found.items() if type(value) in (int, float)}
