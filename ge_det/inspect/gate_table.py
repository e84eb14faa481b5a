"""The statistics of the gates as a table and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ge_det.words import counted

from .figure import Figure
from .gates import short_units
from .statistics import SATURATED, GateSummary

HEAD = ('unit', 'gate', 'mean', 'lowest', 'highest', 'saturated', 'over pictures',
        'over positions', 'over channels', 'variance before', 'after', 'verdict')  # fmt: skip

COLUMNS = (
    f'A gate is saturated where it is nearer than {SATURATED} to 0 or 1. Over pictures, positions '
    'and channels: the standard deviation of its values. Variance: of the lengths of the features, '
    'one vector for each position and gate value, before and after the gate.'
)


def gate_table(summaries: Sequence[GateSummary]) -> list[tuple[str, ...]]:
    """A head, and a row for each gate."""
    units = short_units(one.name for one in summaries)
    rows = [
        (
            units[one.name],
            one.block,
            *(f'{value:.3f}' for value in (one.mean, one.lowest, one.highest)),
            f'{one.near_zero + one.near_one:.1%}',
            *(f'{value:.3f}' for value in (one.over_pictures, one.over_positions,
                                           one.over_channels)),
            f'{one.variance_before:.3g}',
            f'{one.variance_after:.3g}',
            one.verdict,
        )
        for one in summaries
    ]  # fmt: skip
    return [HEAD, *rows]


def conclusion(summaries: Sequence[GateSummary]) -> str:
    """What a user asks first, in a sentence."""
    total = counted(len(summaries), 'gate')
    unmoved = sum(one.constant for one in summaries)
    untold = sum(one.verdict.startswith('one picture') for one in summaries)
    still = sum(one.verdict.startswith('hardly') for one in summaries)
    silent = sum(one.verdict.endswith('silent') for one in summaries)
    saturated = sum(one.verdict.startswith('saturated') for one in summaries)
    if unmoved == len(summaries):
        return (
            f'None of the {total} has moved from its start: the network computes what the plain '
            'one did. See that the gates learn: a checkpoint from after the training, weights '
            'that are not frozen, a rate that is not 0.'
        )
    parts = [
        f'{unmoved} never moved from their start, as in frozen stages' if unmoved else '',
        f'{untold} may depend on what they see or not: give two pictures to tell' if untold else '',
        f'{still} hardly depend on what they see' if still else '',
        f'of these, {silent} have silent hidden units, which training does not wake: start such '
        'gates anew, at a lower rate'
        if silent
        else '',
        f'{saturated} are saturated in most of their values' if saturated else '',
    ]
    told = '; '.join(part for part in parts if part)
    return f'Of {total}, {told}.' if told else f'All {total} answer to what they see.'


def draw_statistics(summaries: Sequence[GateSummary]) -> list[Figure]:
    """Values of the gates, and the spread of the features before and after them, by unit."""
    from ge_det.report.figures import BLUE, GREY, ORANGE, draw

    if not summaries:
        return []
    places = range(len(summaries))
    units = list(short_units(one.name for one in summaries).values())
    has_places = any(one.over_positions for one in summaries)
    kinds = [('over_pictures', BLUE, 'over pictures')]
    kinds += [('over_positions', ORANGE, 'over positions')] * has_places

    def into(figure: Any) -> None:
        values, spread = figure.subplots(2, 1, sharex=True)
        values.vlines(places, [one.lowest for one in summaries],
                      [one.highest for one in summaries], color='#c9d8f3', lw=6)  # fmt: skip
        for deviation, colour, label in kinds:
            values.errorbar(
                [place + has_places * (-0.15 if colour == BLUE else 0.15) for place in places],
                [one.mean for one in summaries],
                [getattr(one, deviation) for one in summaries],
                fmt='o', ms=3, color=colour, label=label,
            )  # fmt: skip
        values.set(ylim=(0, 1), ylabel='gate')
        values.legend(title='mean ± deviation', loc='center left', bbox_to_anchor=(1, 0.5))
        spread.plot(places, [one.spread_before for one in summaries], 'o-', ms=3, color=GREY,
                    label='before')  # fmt: skip
        spread.plot(places, [one.spread_after for one in summaries], 'o-', ms=3, color=BLUE,
                    label='after')  # fmt: skip
        spread.set(ylabel='spread of features', ylim=(0, None))
        spread.legend(loc='center left', bbox_to_anchor=(1, 0.5))
        spread.set_xticks(places, units, rotation=90, fontsize=7)

    caption = (
        'Above: the mean of each gate with its deviation over pictures and over positions; light '
        'blue is all that occurred. Below: the standard deviation of the lengths of the features '
        'in units of their mean. A gate that only scales leaves it; one that selects raises it.'
    )
    numbers = {one.name: one.to_dict() for one in summaries}
    return [Figure('Gates by unit', draw((8, 4.6), into), caption, numbers)]
