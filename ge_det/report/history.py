"""How a training went, from the figures and logs that MMEngine left of all its sessions."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

_TIME = re.compile(r'^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) - ', re.M)
# What a training writes itself; a report, or what `ge-det train` says at the end, comes later.
_STEP = re.compile(
    _TIME.pattern + r'\S+ - INFO - (?:(?:Epoch|Iter)\((?:train|val)\)|Saving c|The best c)', re.M
)
_GPU = re.compile(r'^\s*GPU [\d,]+: (.+)$', re.M)
_TORCH = re.compile(r'^\s*PyTorch: (\S+)$', re.M)
_HEAD, _TAIL = 20_000, 200_000  # Bytes of a log that tell the machine, and the last step.


@dataclass
class History:
    """The figures of a training, resumed sessions in one row.

    Attributes:
        train (list): Records of iterations: ``step``, ``loss``, ``lr``, ``epoch`` and others.
        val (list): Records of validations: ``step`` and ``coco/bbox_mAP`` and others.
        seconds (float): How long all sessions took together; 0 if no log tells.
        machine (str): What the last session ran on; '' if no log tells.
    """

    train: list[dict[str, Any]] = field(default_factory=list)
    val: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    machine: str = ''

    @property
    def by_epoch(self) -> bool:
        """Whether validations are numbered by epochs, not by iterations."""
        return any('epoch' in one for one in self.train)

    @property
    def unit(self) -> str:
        """What validations are numbered by; epochs, unless records tell of iterations alone."""
        return 'epoch' if self.by_epoch or not self.train else 'iteration'

    def train_places(self) -> list[float]:
        """Where each record of :attr:`train` lies on the axis of the validations."""
        if not self.by_epoch:
            return [one['step'] for one in self.train]
        # Of n iterations an epoch, iteration i lies in epoch e where i <= e n.
        length = math.ceil(max(one['step'] / one.get('epoch', 1) for one in self.train))
        return [one['step'] / max(length, 1) for one in self.train]

    def precision(self, key: str = 'coco/bbox_mAP') -> list[tuple[int, float]]:
        """Steps and values of a figure of the validations, in percent.

        Args:
            key (str): Its name. Where an evaluator has a ``prefix``, as each of several has, the
                first figure that is called so behind another one. Defaults to that of box AP.
        """
        told: list[tuple[int, float]] = []
        kind = key.rpartition('/')[2]
        named = [name for one in self.val for name in one if name.rpartition('/')[2] == kind]
        if not named:
            return told
        key = key if key in named else named[0]
        for one in self.val:
            # Where nothing is detected at all, mmdet tells no figure.
            value = one.get(key, None if any('/' in name for name in one) else 0.0)
            if isinstance(value, (int, float)) and value >= 0:  # Neither is NaN.
                told.append((one['step'], 100 * value))
        return told


def read_history(work_dir: Path) -> History:
    """Gather what is there; a training without such files has an empty history."""
    history = History()
    # Named after the time they began.
    for session in sorted(path for path in work_dir.glob('*') if (path / 'vis_data').is_dir()):
        for name, records in zip(('train', 'val'), _figures(session), strict=True):
            if records:  # What a resumed session did again counts once.
                known = getattr(history, name)
                first = records[0]['step']
                known[:] = [one for one in known if one['step'] < first] + records
        seconds, machine = _log(session / f'{session.name}.log')
        history.seconds += seconds
        history.machine = machine or history.machine
    return history


def _figures(session: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    train, val = [], []
    for record in _records(session / 'vis_data' / 'scalars.json'):
        if not isinstance(record.get('step'), int):
            continue
        if 'loss' in record:
            train.append(record)
        elif 'time' in record or any('/' in key for key in record):
            if train and 'epoch' not in train[-1]:  # By iterations, where MMEngine tells epoch 0.
                record['step'] = max(record['step'], train[-1]['step'])
            val.append(record)
    return train, val


def _records(file: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = file.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:  # The last one of a training that was killed.
            continue
        if isinstance(record, dict):
            yield record


def _log(file: Path) -> tuple[float, str]:
    """Seconds from the first line of a log to the last of its training, and its machine."""
    try:
        with file.open('rb') as stream:
            head = stream.read(_HEAD).decode('utf-8', 'replace')
            stream.seek(max(0, file.stat().st_size - _TAIL))
            tail = stream.read().decode('utf-8', 'replace')
    except OSError:
        return 0.0, ''
    times = _TIME.findall(head)[:1] + _STEP.findall(tail)[-1:]
    seconds = 0.0
    if len(times) == 2:
        begin, end = (datetime.strptime(one, '%Y/%m/%d %H:%M:%S') for one in times)
        seconds = (end - begin).total_seconds()
    torch = _TORCH.search(head)
    if torch is None:
        return max(seconds, 0.0), ''
    gpu = _GPU.search(head)
    return max(seconds, 0.0), f'{gpu[1] if gpu else "CPU"}, PyTorch {torch[1]}'
