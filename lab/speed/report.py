"""The figures of the speed benchmark as a Markdown table, with what they were measured on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from .blocks import MAPS_READ_AND_WRITTEN
from .results import SpeedResults
from .timing import growth_exponent

TITLES = {
    'published': 'as published',
    'module': 'plug-in module',
    'ours': 'ours',
    'mmpretrain': 'mmpretrain',
    'timm': 'timm',
    'mmcv': 'mmcv',
}
"""Columns by contender, in their order."""

BASES = {
    'blocks': 'a copy of the map',
    'backbones': 'the plain ResNet',
    'detectors': 'the detector with a plain ResNet',
}
"""What times are divided by, by mode."""

# More than float32 rounding through a whole network.
TOLERANCE = 1e-3

_MEMORY = ('published', 'module', 'ours')

Row = tuple[str, dict[str, Any]]


def main_rows(results: SpeedResults) -> list[Row]:
    """Results at the asked size with their keys, further sizes left out."""
    return [(key, group) for key, group in results.groups.items() if not group['only_ours']]


def growth_points(
    results: SpeedResults, row: Mapping[str, Any], name: str
) -> tuple[list[int], list[float]]:
    """Areas of the picture and median seconds of a contender, by area.

    Args:
        results (SpeedResults): All of a run.
        row (Mapping): A main row.
        name (str): ``'plain'`` or ``'ours'``.

    Returns:
        tuple: Areas in pixels and seconds; empty if further sizes were not measured.
    """
    same = [
        group
        for group in results.groups.values()
        if (group['block'], group['stage']) == (row['block'], row['stage'])
        and name in group['seconds']
    ]
    points = sorted((math.prod(g['size']), median(g['seconds'][name])) for g in same)
    if len(points) < 2:
        return [], []
    return [area for area, _ in points], [seconds for _, seconds in points]


def format_report(results: SpeedResults) -> str:
    """Header, table and notes, in Markdown.

    Args:
        results (SpeedResults): With one group at least.
    """
    rows = main_rows(results)
    columns = [name for name in TITLES if any(name in row['ratios'] for _, row in rows)]
    cells = {'block': [key for key, _ in rows]}
    for name in columns:
        cells[TITLES[name]] = [_ratio(row['ratios'].get(name)) for _, row in rows]
    kept = [name for name in _MEMORY if name in columns]
    listed = ' / '.join(TITLES[name] for name in kept)
    for figure, title in (('kept_bytes', 'activation memory'), ('peak_bytes', 'peak on the GPU')):
        if kept and any(row.get(figure) for _, row in rows):
            cells[f'extra {title}, %: {listed}'] = [
                ' / '.join(_extra(row, figure, name) for name in kept) for _, row in rows
            ]
    if results.settings['mode'] == 'blocks':
        moved = MAPS_READ_AND_WRITTEN[results.settings['train']] / 2
        cells['share of the copy bandwidth, ours'] = [
            f'{moved / row["ratios"]["ours"]["median"]:.0%}' if 'ours' in row['ratios'] else '-'
            for _, row in rows
        ]
    if any(group['only_ours'] for group in results.groups.values()):
        for name in ('plain', 'ours'):
            cells[f'{name}: time ~ area^'] = [
                _exponent(*growth_points(results, row, name)) for _, row in rows
            ]
    return '\n\n'.join([_header(results), _table(cells), *_notes(rows)])


def _header(results: SpeedResults) -> str:
    s, machine = results.settings, results.machine
    height, width = s['size']
    half = 'bfloat16' if s['device'] == 'cpu' else 'float16'
    parts = [
        s['mode'],
        'training step' if s['train'] else 'inference',
        f'autocast to {half}' if s['amp'] else machine['float32'],
        f'size {height}x{width}',
        f'batch {s["batch"]}',
        *(['channels last'] if s['channels_last'] else []),
        f'ResNet-{s["depth"]}',
        f'{s["base_channels"]} base channels',
        f'frozen_stages={s["frozen_stages"]}',
        f'rounds={s["rounds"]}',
        *([s['config']] if s['config'] else []),
    ]
    plain = [median(row['seconds']['plain']) for _, row in main_rows(results)]
    base = BASES[s['mode']]
    lines = [
        ', '.join(parts) + '.',
        f'Measured on {machine["device"]}, threads={s["threads"]}, torch {machine["torch"]}; '
        f'{base} took {_seconds(plain)}; a large copy into '
        f'new memory moves {(results.bandwidth or 0) / 1e9:.1f} GB/s, read and written.',
        f'Time over that of {base} in the same round: median over the rounds (quartiles).',
    ]
    if s['mode'] == 'blocks':
        lines.append(
            f'A gate must move {MAPS_READ_AND_WRITTEN[s["train"]]} maps, the copy moves 2; memory '
            'is over the size of the map.'
        )
    elif s['train']:
        lines.append(
            'norm_eval=True; gates count as loaded: frozen with their stage (freeze_gates=True), '
            'and of all normalisations only those inside gates train (gate_norm_eval=False).'
        )
    return '\n'.join(lines)


def _notes(rows: Sequence[Row]) -> list[str]:
    notes = list(dict.fromkeys(note for _, row in rows for note in row['notes']))
    for key, row in rows:
        if row['plan']:
            counts = Counter((unit['runs'], unit['why']) for unit in row['plan'])
            told = '; '.join(f'{n} {runs} ({why})' for (runs, why), n in counts.items())
            notes.append(f'{key}, units of ours: {told}')
        for name, difference in row['difference'].items():
            if not difference <= TOLERANCE:  # NaN is no agreement either.
                notes.append(
                    f'{key}: the outputs of {TITLES[name]} differ from the others by '
                    f'{difference:.1e} of the largest; rounding explains that in half precision '
                    'and TF32, not in float32'
                )
    return ['\n'.join(f'- {note}' for note in notes)] if notes else []


def _table(columns: Mapping[str, Sequence[str]]) -> str:
    lines = [list(columns), ['---'] * len(columns), *zip(*columns.values(), strict=True)]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _ratio(ratio: Mapping[str, float] | None) -> str:
    if ratio is None:
        return '-'
    return f'{ratio["median"]:.3f} ({ratio["low"]:.3f}-{ratio["high"]:.3f})'


def _extra(row: Mapping[str, Any], figure: str, name: str) -> str:
    """Bytes beyond the plain network's in percent of them, or in percent of a map."""
    measured = row.get(figure) or {}
    if measured.get(name) is None:
        return '-'
    if 'map_bytes' in row:
        return f'{100 * measured[name] / row["map_bytes"]:+.1f}'
    return f'{100 * (measured[name] / measured["plain"] - 1):+.1f}'


def _exponent(areas: Sequence[int], seconds: Sequence[float]) -> str:
    return f'{growth_exponent(areas, seconds):.2f}' if areas else '-'


def _seconds(values: Iterable[float]) -> str:
    low, high = min(values), max(values)
    return f'{low:.3g} s' if low == high else f'{low:.3g} to {high:.3g} s in the median'
