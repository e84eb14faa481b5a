"""What was put where, as a table to read."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ge_det.words import aligned, counted


@dataclass
class AttachedGate:
    """A gate in a unit.

    Attributes:
        unit (str): Name of the unit, such as ``'layer1.0'``.
        gate (str): Name of the gate, such as ``'layer1.0.sge'``.
        block (str): Short name or class of the block.
        stage (int): Stage of the unit, 0 for ``layer1``.
        channels (int): Channels of the gate.
        parameters (int): How many parameters it has.
        start (str): ``'constant'``, made so and taken back exactly; ``'fitted'``, a gate without
            parameters that is taken back approximately; ``'fresh'``, as its authors begin.
        deviation (float | None): Relative change of what the unit puts out, ``||y - y_before|| /
            ||y_before||``, in eval mode, when random images run through the backbone, or random
            features through all units one after another where it takes more than images. None if
            that was not measured: for fresh gates, and for units that need more than features.
    """

    unit: str
    gate: str
    block: str
    stage: int
    channels: int
    parameters: int
    start: str
    deviation: float | None


@dataclass
class AttachReport:
    """What :func:`~ge_det.add_attention` did.

    Attributes:
        gates (list[AttachedGate]): In the order of execution.
        deviation (float | None): The largest of all units of the network, those without a gate
            included.
        share (float): How far the factors of fitted gates were applied, 0 to 1; with 0 nothing but
            the gates themselves changes.
        notes (list[str]): What else the user should know, a sentence each.
        unmeasured (str | None): Why the change of no unit could be measured.
    """

    gates: list[AttachedGate]
    deviation: float | None = None
    share: float = 1.0
    notes: list[str] = field(default_factory=list)
    unmeasured: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as plain lists, dicts, strings and numbers."""
        return asdict(self)

    def table(self) -> str:
        """The report as a text table."""
        head = ('unit', 'gate', 'block', 'channels', 'parameters', 'start', 'deviation')
        rows = [
            (
                gate.unit or '-',
                gate.gate.rpartition('.')[2],
                gate.block,
                f'{gate.channels:,}',
                f'{gate.parameters:,}',
                gate.start,
                _written(gate.deviation),
            )
            for gate in self.gates
        ]
        texts = [i for i, cell in enumerate(rows[-1]) if not cell.replace(',', '').isdigit()]
        return '\n'.join([*aligned([head, *rows], texts), '', *self._summary()])

    def _summary(self) -> list[str]:
        starts = [gate.start for gate in self.gates]
        ways = {
            'constant': 'constant, taken back exactly',
            'fitted': 'without parameters, taken back approximately',
            'fresh': 'fresh: they change what the network computes',
        }
        how = '; '.join(f'{starts.count(s)} {told}' for s, told in ways.items() if s in starts)
        parameters = sum(gate.parameters for gate in self.gates)
        lines = [f'{counted(len(starts), "gate")}, {counted(parameters, "parameter")}: {how}']
        if self.deviation is not None:
            lines.append(f'largest deviation on random input: {_written(self.deviation)}')
        lines += [f'note: {note}' for note in self.notes]
        if self.unmeasured is not None:
            lines.append(
                f'nothing was measured: no unit ran on random input ({self.unmeasured}); compare '
                'what the network computes with what it did'
            )
        return lines

    def __str__(self) -> str:
        return self.table()


@dataclass
class RemovalReport:
    """What :func:`~ge_det.remove_attention` did.

    Attributes:
        gates (list[str]): Names of the gates that were taken out.
        restored (list[str]): Those whose normalisation has its weights of before again, bit for
            bit; the constants of the others are in its present ones.
    """

    gates: list[str]
    restored: list[str]

    def __str__(self) -> str:
        kept = len(self.gates) - len(self.restored)
        told = f'{counted(len(self.gates), "gate")} taken out'
        if self.restored:
            told += f'; {len(self.restored)} normalisations as they were before'
        return told + (f'; {kept} normalisations took the constant of their gate' if kept else '')


def _written(deviation: float | None) -> str:
    return '-' if deviation is None else f'{deviation:.1e}'
