"""The figures of a run of the speed benchmark, kept in a file that a later run goes on with."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .settings import BenchmarkError, SpeedSettings, environment


class SpeedResults:
    """Results of groups by their keys, written after each.

    Args:
        settings (dict): What was asked, as JSON holds it.
        machine (dict): Where.
        path (Path, optional): File to write. Defaults to None: nothing is written.

    Attributes:
        groups (dict): What :func:`~.run.measure_group` returned, by key.
        bandwidth (float | None): Bytes a second of a copy.
    """

    def __init__(
        self, settings: dict[str, Any], machine: dict[str, str], path: Path | None = None
    ) -> None:
        self.settings = settings
        self.machine = machine
        self.path = path
        self.bandwidth: float | None = None
        self.groups: dict[str, dict[str, Any]] = {}

    @classmethod
    def open(cls, settings: SpeedSettings, path: str | Path | None = None) -> SpeedResults:
        """New results, or those in a file if they are of the same settings and machine.

        Args:
            settings (SpeedSettings): Of the run.
            path (str | Path, optional): File. Defaults to None: not kept.

        Raises:
            BenchmarkError: If the file holds something else; the message is one line.
            OSError: If it cannot be written, which is tried at once.
        """
        results = cls(settings.to_json(), environment(settings), Path(path) if path else None)
        if results.path is not None:
            if results.path.exists():
                results._take_over(results.path)
            results.path.parent.mkdir(parents=True, exist_ok=True)
            results.save()
        return results

    def add(self, key: str, result: dict[str, Any]) -> None:
        """Keep the result of a group."""
        self.groups[key] = result
        self.save()

    def save(self) -> None:
        """Write the file; an interruption leaves the old one whole."""
        if self.path is None:
            return
        content = {
            'settings': self.settings,
            'environment': self.machine,
            'copy_bytes_per_second': self.bandwidth,
            'groups': self.groups,
        }
        draft = self.path.with_name(self.path.name + '.part')
        draft.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
        os.replace(draft, self.path)

    def _take_over(self, path: Path) -> None:
        try:
            found = json.loads(path.read_text(encoding='utf-8'))
            groups, bandwidth = found['groups'], found['copy_bytes_per_second']
            differences = _differences(found['settings'], self.settings)
            differences += _differences(found['environment'], self.machine)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BenchmarkError(
                f'{path} holds no figures of this benchmark: give another --json'
            ) from error
        if differences:
            raise BenchmarkError(
                f'{path} holds figures of other settings ({"; ".join(differences)}): give '
                'another --json, or delete it'
            )
        self.groups, self.bandwidth = groups, bandwidth


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    keys = [*ours, *(key for key in theirs if key not in ours)]
    return [
        f'{key} {theirs.get(key)}, not {ours.get(key)}'
        for key in keys
        if theirs.get(key) != ours.get(key)
    ]
