"""What MMEngine wrote about a run: progress, losses and metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def read_scalars(work_dir: Path) -> list[Record]:
    """Records of every (resumed) training in a work dir, the latest word on each step.

    Training ones have ``loss`` and ``iter``, validation ones ``coco/bbox_mAP`` and so on; both have
    ``step``, and are in its order.
    """
    latest: dict[tuple[bool, int], Record] = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in file.read_text(encoding='utf-8').splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue  # The line a killed process was writing.
            latest['loss' in record, record['step']] = record
    return [latest[key] for key in sorted(latest, key=lambda key: (key[1], key[0]))]


def training_records(work_dir: Path) -> list[Record]:
    """Those with losses."""
    return [record for record in read_scalars(work_dir) if 'loss' in record]


def iterations_done(work_dir: Path) -> int:
    """Last iteration that a training reported."""
    return max((record['step'] for record in training_records(work_dir)), default=0)
