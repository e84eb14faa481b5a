"""Our counts beside the published ones, as rows for a file and as text for a terminal."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from ge_det.words import aligned

from .comparison import Agreement, CostComparison


def comparison_rows(comparisons: list[CostComparison]) -> list[dict[str, Any]]:
    """Comparisons for a file: what is published, what we count, and by which convention."""
    return [
        dict(
            source=comparison.published.source.title,
            network=comparison.published.network,
            image=list(comparison.published.source.size),
            style=comparison.published.source.style,
            parameters=_agreement_row(comparison.parameters),
            flops=_agreement_row(comparison.flops),
            remark=comparison.published.remark,
        )
        for comparison in comparisons
    ]


def _agreement_row(agreement: Agreement | None) -> dict[str, Any] | None:
    if agreement is None:
        return None
    return dict(
        published=agreement.printed,
        ours=agreement.exact,
        equal=agreement.is_equal,
        convention=agreement.convention,
        all_conventions=dict(agreement.counted),
    )


def comparison_table(comparisons: list[CostComparison]) -> str:
    """Comparisons as text, one table a source."""
    blocks = []
    for source, group in groupby(comparisons, lambda comparison: comparison.published.source):
        of_source = list(group)
        height, width = source.size
        tail = '' if source.has_classifier else ', pooled, without the classifier'
        lines = [
            f'published: {source.title}',
            f'{height}x{width}, stride as in {source.style}{tail}',
        ]
        table = [['', 'published M', 'ours', '', 'published GFLOPs', 'ours', '']]
        for comparison in of_source:
            table.append(
                [
                    comparison.published.network,
                    *_cells(comparison.parameters, 1e6),
                    *_cells(comparison.flops, 1e9),
                ]
            )
        blocks.append(
            '\n'.join([*lines, *_conventions(of_source), *aligned(table, left=(0, 3, 6))])
        )
        blocks[-1] += ''.join(
            f'\n* {comparison.published.network}: {comparison.published.remark}'
            for comparison in of_source
            if comparison.published.remark
        )
    figures = [a for c in comparisons for a in (c.parameters, c.flops) if a]
    equal = sum(figure.is_equal for figure in figures)
    blocks.append(f'{equal} of {len(figures)} published figures are equal to the printed digits.')
    return '\n\n'.join(blocks)


def _conventions(of_source: list[CostComparison]) -> list[str]:
    """What is counted; alike for all lines of a source."""
    found = {}
    for comparison in of_source:
        for what in ('parameters', 'flops'):
            agreement = getattr(comparison, what)
            if agreement is not None:
                found[what] = agreement.convention
    return [f'counted, to fit: {", ".join(f"{what} {how}" for what, how in found.items())}']


def _cells(agreement: Agreement | None, unit: float) -> list[str]:
    if agreement is None:
        return ['-', '', '']
    return [agreement.printed, f'{agreement.exact / unit:.4f}', str(agreement)]
