"""A run of the speed benchmark: group by group, kept in a file that a later run goes on with."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm  # type: ignore[import-untyped]

from ge_det.errors import UserError
from ge_det.files import read_json, write_whole

from .measure import Group, measure_group
from .networks import NEIGHBOUR
from .settings import SpeedSettings, environment
from .timing import WARM_UP_ROUNDS, copy_bandwidth


@dataclass
class SpeedResults:
    """Results of groups by their keys, written after each."""

    settings: dict[str, Any]  # As JSON holds them.
    machine: dict[str, str]
    path: Path | None = None  # The file to write, if any.
    bandwidth: float | None = None  # Bytes a second of a copy, once measured.
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)  # As of measure_group.

    @classmethod
    def open(cls, settings: SpeedSettings, path: str | Path | None = None) -> SpeedResults:
        """New results, or those in a file if they are of the same settings and machine.

        A UserError says that they are not, an OSError that it cannot be written, at once.
        """
        results = cls(settings.to_json(), environment(settings), Path(path) if path else None)
        if results.path is not None:
            if results.path.exists():
                results._take_over(results.path)
            results.path.parent.mkdir(parents=True, exist_ok=True)
            results.save()
        return results

    def save(self) -> None:
        """Write the file; an interruption leaves the old one whole."""
        if self.path is not None:
            content: dict[str, Any] = dict(settings=self.settings, environment=self.machine)
            content |= dict(copy_bytes_per_second=self.bandwidth, groups=self.groups)
            write_whole(self.path, (json.dumps(content, indent=1) + '\n').encode())

    def _take_over(self, path: Path) -> None:
        found = read_json(path) or {}
        try:
            self.groups, self.bandwidth = found['groups'], found['copy_bytes_per_second']
            differences = _differences(found['settings'], self.settings)
            differences += _differences(found['environment'], self.machine)
        except (KeyError, TypeError, AttributeError) as error:
            message = f'{path} holds no figures of this benchmark: give another --json'
            raise UserError(message) from error
        if differences:
            raise UserError(
                f'{path} holds figures of other settings ({"; ".join(differences)}): give '
                'another --json, or delete it'
            )


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    pairs = [(key, theirs.get(key), ours.get(key)) for key in {**ours, **theirs}]
    return [f'{key} {a}, not {b}' for key, a, b in pairs if a != b]


def plan_groups(settings: SpeedSettings, blocks: Sequence[str]) -> list[Group]:
    """All groups of a run in their order."""
    stages = range(4) if settings.mode == 'blocks' else [None]
    has_neighbour = 'peers' in settings.against and (
        settings.mode == 'blocks' or (settings.mode == 'backbones' and settings.depth >= 50)
    )
    more = [NEIGHBOUR] if has_neighbour else []
    return [Group(name, stage) for name in (*blocks, *more) for stage in stages]


def run_benchmark(settings: SpeedSettings, blocks: Sequence[str], results: SpeedResults) -> None:
    """Measure all groups that the results lack, with progress on stderr.

    Sets torch's number of threads. A UserError names what keeps it from running.
    """
    torch.set_num_threads(settings.threads)
    if torch.device(settings.device).index is not None:
        torch.cuda.set_device(settings.device)
    if results.bandwidth is None:
        results.bandwidth = copy_bandwidth(settings.device)
        results.save()
    groups = plan_groups(settings, blocks)
    missing = [group for group in groups if group.key not in results.groups]
    rounds = WARM_UP_ROUNDS + settings.rounds
    # disable=None: only a terminal gets the bar; a log gets the lines.
    with tqdm(total=rounds * len(missing), unit='round', file=sys.stderr, disable=None) as bar:
        for index, group in enumerate(missing):
            bar.set_description(group.key)
            result = results.groups[group.key] = measure_group(settings, group, bar.update)
            results.save()
            text = ', '.join(f'{k} {v["median"]:.3f}' for k, v in result['ratios'].items())
            bar.write(f'{group.key} ({index + 1} of {len(missing)}): {text}', file=sys.stderr)
