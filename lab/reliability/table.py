"""A table of docs/reliability.md, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Table:
    """Counts, and what was not as it should be.

    Args:
        title (str): Heading.
        about (str): What was tried and what is right, in a sentence or two.
        header (list[str]): Names of the columns.
        rows (list[list[str]]): Cells.
        faults (list[str]): Tries that went wrong, a line each.
        seconds (float): How long all of it took. Defaults to 0.
    """

    title: str
    about: str
    header: list[str]
    rows: list[list[str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, name: str, *right_and_all: tuple[int, int]) -> None:
        """Add a row of counts, such as '12 of 12'."""
        cells = [f'{right} of {total}' if total else '' for right, total in right_and_all]
        self.rows.append([name, *cells])

    def markdown(self) -> str:
        """The section of the page."""
        lines = [f'## {self.title}', '', self.about, '']
        lines.append('| ' + ' | '.join(self.header) + ' |')
        lines.append('|' + '---|' * len(self.header))
        lines += ['| ' + ' | '.join(row) + ' |' for row in self.rows]
        if self.faults:
            lines += ['', f'Not as it should be, {len(self.faults)}:', '']
            lines += [f'- {fault.replace("|", "/")}' for fault in self.faults]
        return '\n'.join([*lines, '', f'{self.seconds:.0f} s.', ''])

    def as_dict(self) -> dict[str, Any]:
        """The table for a JSON file."""
        return asdict(self)
