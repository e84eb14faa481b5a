"""What an import loaded and what it did not, as a table to read and as JSON to keep."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.logging import MMLogger, print_log

from ge_det.files import write_whole
from ge_det.words import counted


@dataclass
class Preservation:
    """What ``preserve_function`` did to fresh gates.

    Attributes:
        exact (list[str]): Gates that became a constant, which the normalisation before them takes
            back.
        approximate (list[str]): Gates without parameters; their normalisation was scaled so that
            the gated output is close to the plain one.
        impossible (dict[str, str]): Gates that were left as they are, and why.
        calibration_images (int): Images the approximate ones were fitted to; with 0, they rest on
            the mean that the normalisation gives each channel.
        share (float): How far the fitted scales were applied, 0 to 1: with 0 nothing but the gates
            themselves changes.
        deviation (dict[str, list[float]]): Relative error of each output of the backbone against
            the same one without its fresh gates, ``||y - y_plain|| / ||y_plain||``, by what was
            fed, such as ``'random 2x3x96x128'``.
    """

    exact: list[str] = field(default_factory=list)
    approximate: list[str] = field(default_factory=list)
    impossible: dict[str, str] = field(default_factory=dict)
    calibration_images: int = 0
    share: float = 1.0
    deviation: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class LoadReport:
    """What an import found and did.

    Names are those of the backbone, without the prefix they have in the file.

    Attributes:
        checkpoint (str): What was asked for.
        source (str): The project whose parameter names the file has.
        file (str): The local file that was read.
        sha256 (str): Its SHA-256 in hexadecimal digits.
        file_bytes (int): Its size in bytes.
        key (str | None): Which of its sets of weights was asked for.
        matched (list[str]): Tensors that were loaded.
        matched_bytes (int): Their size in bytes.
        parameter_share (float): Share of the backbone's parameters that were loaded, 0 to 1.
        trunk_share (float): The same of its parameters outside gates.
        loaded_gates (list[str]): Gates the file filled.
        prepared_gates (list[str]): Gates it filled with what an earlier import made of fresh ones;
            they have yet to learn.
        fresh_gates (list[str]): Gates it did not fill.
        unexpected (list[str]): Tensors of the file that the backbone has no place for.
        missing_trunk (list[str]): Tensors of the backbone, outside gates, that the file lacks.
        wrong_shape (dict[str, str]): Tensors that have another shape in the file.
        other_parts (dict[str, int]): Tensors outside the backbone, by part of the larger model.
        problems (list[str]): Why the file does not fit the backbone, a clause each.
        preserved (Preservation | None): What ``preserve_function`` did; None if it was off.
        notes (list[str]): What else the user should know, a sentence each.
    """

    checkpoint: str
    source: str
    file: str
    sha256: str
    file_bytes: int
    key: str | None = None
    matched: list[str] = field(default_factory=list)
    matched_bytes: int = 0
    parameter_share: float = 0.0
    trunk_share: float = 0.0
    loaded_gates: list[str] = field(default_factory=list)
    prepared_gates: list[str] = field(default_factory=list)
    fresh_gates: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    missing_trunk: list[str] = field(default_factory=list)
    wrong_shape: dict[str, str] = field(default_factory=dict)
    other_parts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    preserved: Preservation | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def without_effect(self) -> list[str]:
        """Gates that have yet to learn, with which the network computes what it does without."""
        exact = [] if self.preserved is None else self.preserved.exact
        return self.prepared_gates + exact

    def to_dict(self) -> dict[str, Any]:
        """The report as plain lists, dicts, strings and numbers."""
        return asdict(self)

    def save(self, path: str | Path) -> None:
        """Write the report as JSON, making the folder if need be."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        # NaN, of a broken network's deviation, is not JSON.
        content = json.loads(json.dumps(self.to_dict()), parse_constant=lambda name: None)
        write_whole(Path(path), (json.dumps(content, indent=2) + '\n').encode('utf-8'))

    def table(self) -> str:
        """The report as a short text table."""
        gates = len(self.loaded_gates) + len(self.prepared_gates) + len(self.fresh_gates)
        rows = [
            ('weights', f'{self.source}: {Path(self.file).name}, {_megabytes(self.file_bytes)}'),
            ('sha256', self.sha256),
            (
                'matched',
                f'{counted(len(self.matched), "tensor")}, {_megabytes(self.matched_bytes)}, '
                f"{100 * self.parameter_share:.1f} % of the backbone's parameters, "
                f'{100 * self.trunk_share:.1f} % of those outside gates',
            ),
            ('loaded gates', f'{len(self.loaded_gates)} of {gates}'),
            ('fresh gates', _listed(self.fresh_gates)),
            ('missing trunk', _listed(self.missing_trunk)),
            ('wrong shape', _listed([f'{k} {v}' for k, v in self.wrong_shape.items()])),
            ('unexpected', _listed(self.unexpected)),
        ]
        if self.prepared_gates:
            rows.insert(4, ('prepared gates', _listed(self.prepared_gates)))
        if self.other_parts:
            parts = [f'{name} ({counted(n, "tensor")})' for name, n in self.other_parts.items()]
            rows.append(('not backbone', ', '.join(parts)))
        rows += self._preservation_rows()
        rows += [('does not fit', problem) for problem in self.problems]
        rows += [('note', note) for note in self.notes]
        width = max(len(name) for name, _ in rows)
        return '\n'.join(f'{name:<{width}}  {text}' for name, text in rows)

    def _preservation_rows(self) -> list[tuple[str, str]]:
        done = self.preserved
        if done is None:
            return [('preserved', 'off: fresh gates change what the trunk computes')]
        if not self.fresh_gates:
            return [('preserved', 'nothing to do: no gate is fresh')]
        ways = [(len(done.exact), 'exactly'), (len(done.approximate), 'approximately')]
        ways += [(len(done.impossible), 'not at all')]
        rows = [('preserved', ', '.join(f'{counted(n, "gate")} {how}' for n, how in ways if n))]
        if done.approximate:
            number = done.calibration_images
            images = counted(number, 'image') if number else 'no images'
            rows.append(('calibrated', f'on {images}; scales applied to {100 * done.share:.0f} %'))
        for fed, errors in done.deviation.items():
            values = ', '.join(f'{error:.1e}' for error in errors)
            rows.append(('deviation', f'{values} relative, by stage, on {fed}'))
        for reason in dict.fromkeys(done.impossible.values()):
            names = [name for name, why in done.impossible.items() if why == reason]
            rows.append(('not preserved', f'{_listed(names)}: {reason}'))
        return rows


def log_report(report: LoadReport) -> None:
    """Print a report to MMEngine's log and keep it as JSON beside the log file, if there is one.

    Args:
        report (LoadReport): The report. In distributed training the first process keeps it.
    """
    logger = MMLogger.get_current_instance()
    print_log(f'{report.checkpoint}:\n{report.table()}', logger)
    if logger.log_file is not None and is_main_process():
        report.save(Path(logger.log_file).with_name('load_report.json'))


def _megabytes(count: int) -> str:
    return f'{count / 1e6:.1f} MB'


def _listed(names: Sequence[str]) -> str:
    if not names:
        return 'none'
    ends = names[0] if len(names) == 1 else f'{names[0]} ... {names[-1]}'
    return f'{len(names)}: {ends}'
