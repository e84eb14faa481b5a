"""What the cases of a check gave, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ge_det.words import aligned

from .parity import Agreement, Tolerance


@dataclass(frozen=True)
class Row:
    """What one case of a check gave.

    Args:
        size (tuple[int, int]): Height and width of the batch.
        batch (int): Pictures in it.
        agreement (Agreement, optional): Of the detections. Defaults to None: there are none.
        deviation (float, optional): Of the maps. Defaults to None: there are none.
    """

    size: tuple[int, int]
    batch: int
    agreement: Agreement | None = None
    deviation: float | None = None

    def holds(self, tolerance: Tolerance) -> bool:
        """Whether it is within the tolerance."""
        if self.agreement is None:
            return self.deviation is not None and self.deviation <= tolerance.deviation
        off = self.agreement.differing + self.agreement.off_masks
        return off <= tolerance.share * self.agreement.compared


def together(rows: Sequence[Row]) -> Agreement:
    """The agreement of all rows."""
    return sum((row.agreement for row in rows if row.agreement is not None), Agreement())


def table(rows: Sequence[Row]) -> list[str]:
    """Lines for the screen."""
    of_maps = all(row.deviation is not None for row in rows)
    has_edges = any(row.agreement and row.agreement.excused for row in rows)
    has_masks = any(row.agreement and row.agreement.worst_mask is not None for row in rows)
    head = ['size', 'batch']
    if of_maps:
        head.append('largest deviation')
    else:
        head += ['detections', 'without partner', 'worst IoU', 'worst score difference']
        head += ['worst IoU of masks'] * has_masks + ['on an edge'] * has_edges
    lines = [head]
    for row in rows:
        cells = [f'{row.size[0]}x{row.size[1]}', str(row.batch)]
        if of_maps:
            cells.append(f'{row.deviation:.1e}')
        else:
            found = row.agreement or Agreement()
            some = found.compared > 0
            cells += [str(found.compared), str(found.lacking)]
            cells.append(f'{found.worst_iou:.5f}' if some else '-')
            cells.append(f'{found.worst_score:.1e}' if some else '-')
            mask = found.worst_mask
            cells += ['-' if mask is None else f'{mask:.4f}'] * has_masks
            cells += [str(found.excused)] * has_edges
        lines.append(cells)
    return aligned(lines, left=())
