"""When in its training a block comes away from its baseline."""

from __future__ import annotations

import math

from ..results.result import CellResult
from .comparison import BASELINE, Comparison
from .markdown import Table

#: Lead that counts, a share of AP: the plain network moves by less from validation to validation.
AHEAD = 0.1

_CURVE = 'bbox AP, '  # What the curve of a group is called, but for the group.


def told_groups(comparison: Comparison) -> list[str]:
    """Groups of classes whose AP the trainings tell at their validations."""
    curves = (name for result in comparison.results for name in result.curve)
    return [c.removeprefix(_CURVE) for c in dict.fromkeys(curves) if c.startswith(_CURVE)]


def onset(cell: CellResult, baseline: CellResult, scalar: str) -> int | None:
    """Iteration of the first validation from which on a cell stays ahead of its baseline.

    Args:
        cell (CellResult): Cell of a block.
        baseline (CellResult): That without attention and with the same seed.
        scalar (str): Name of a curve over epochs, such as ``'bbox AP, context'``.

    Returns:
        int | None: Iterations; None if it is not ahead by :data:`AHEAD` at the last validation.
    """
    plain, first = dict(baseline.curve.get(scalar, [])), None
    for epoch, value in reversed(cell.curve.get(scalar, [])):
        if not value - plain.get(epoch, math.nan) >= AHEAD:
            break
        first = epoch
    return None if first is None else round(first * cell.iterations / cell.epochs)


def onset_table(comparison: Comparison) -> Table | None:
    """That of each group of classes whose AP the trainings tell; None where none does."""
    groups = told_groups(comparison)
    if not groups or not comparison.blocks:
        return None
    baselines = {cell.key.seed: cell for cell in comparison.cells(BASELINE)}
    rows = []
    for block in comparison.blocks:
        pairs = [
            (cell, baselines[cell.key.seed])
            for cell in comparison.cells(block)
            if cell.key.seed in baselines
        ]
        row = [block]
        for group in groups:
            curve = f'{_CURVE}{group}'
            found = {cell.key.seed: onset(cell, plain, curve) for cell, plain in pairs}
            row.append(', '.join(f'{s}: {"never" if i is None else i}' for s, i in found.items()))
        rows.append(row)
    caption = (
        f'Iteration from which on a block is {100 * AHEAD:.0f} points of AP ahead of the baseline '
        'with the same seed at every validation, by seed.'
    )
    return Table(caption, ['block', *(f'AP {group}' for group in groups)], rows)
