"""The figures of the speed benchmark as a Markdown table, with what they were measured on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.figure import Figure
from tabulate import tabulate  # type: ignore[import-untyped]

from .networks import OWN_AREAS
from .run import SpeedResults
from .timing import ratios

# Columns by contender, in their order, and colours of their bars.
TITLES = {name: name for name in ('published', 'module', 'ours', 'mmpretrain', 'timm', 'mmcv')}
TITLES |= {'published': 'as published', 'module': 'plug-in module'}
TITLES |= {'control': 'plain again', OWN_AREAS: 'ours, valid_area'}
TITLES |= {'plain-onnx': 'plain in onnxruntime', 'ours-onnx': 'ours in onnxruntime'}
TITLES |= {'plain-compiled': 'plain compiled', 'ours-compiled': 'ours compiled'}
_BARS = tuple(f'tab:{name}' for name in ('red', 'orange', 'green', 'purple', 'brown', 'grey'))
_BARS += ('olive', 'lightgreen', 'lightblue', 'steelblue', 'pink', 'hotpink')
COLOURS = dict(zip(TITLES, _BARS, strict=True))

# Columns of one contender's time over another's, beside those over the plain network's.
PAIRS = ((OWN_AREAS, 'ours'), ('ours-onnx', 'plain-onnx'), ('ours-compiled', 'plain-compiled'))

# What times are divided by, by mode.
BASES = {
    'blocks': 'a copy of the map',
    'backbones': 'the plain ResNet',
    'detectors': 'the detector with a plain ResNet',
}

# Whole maps that a gate must move at least, by whether it trains. Forward it reads x and writes y.
# Backward it reads x and the gradient of y and writes that of x.
MAPS_READ_AND_WRITTEN = {False: 2, True: 5}

FIGURES = {
    'kept_bytes': 'activation memory',
    'peak_bytes': 'peak on the GPU',
    'moved_bytes': 'bytes read and written by operators',
}

# How far the plain network may be from itself in a run that can tell 2 % apart.
NOISE = 0.02

GATES = {
    'fresh': 'without effect, as fresh ones (those of GE θ⁻ cannot be)',
    'loaded': 'frozen as loaded',
    'learning': 'learning (freeze_gates=False)',
}

# More than float32 rounding through a whole network.
TOLERANCE = 1e-3


def format_report(results: SpeedResults) -> str:
    """Header, table and notes, in Markdown, of one group at least."""
    groups, settings = results.groups, results.settings
    columns = [name for name in TITLES if any(name in row['ratios'] for row in groups.values())]
    table = {'block': list(groups)}
    for name in columns:
        table[TITLES[name]] = [_ratio(row['ratios'].get(name)) for row in groups.values()]
    for name, base in PAIRS:
        if name in columns:
            table[f'{TITLES[name]} over {TITLES[base]}'] = [
                _over(row['seconds'], name, base) for row in groups.values()
            ]
    kept = [name for name in ('published', 'module', 'ours') if name in columns]
    listed = ' / '.join(TITLES[name] for name in kept)
    for figure, title in FIGURES.items():
        if kept and any(row.get(figure) for row in groups.values()):
            table[f'extra {title}, %: {listed}'] = [
                ' / '.join(_extra(row, figure, name) for name in kept) for row in groups.values()
            ]
    if settings['mode'] == 'blocks':
        moved = MAPS_READ_AND_WRITTEN[settings['train']] / 2
        ours = [row['ratios'].get('ours') for row in groups.values()]
        shares = [f'{moved / ratio["median"]:.0%}' if ratio else '-' for ratio in ours]
        table['share of the copy bandwidth, ours'] = shares
    text = tabulate(table, headers='keys', tablefmt='github', disable_numparse=True)
    return '\n\n'.join([_header(results), text, *_notes(groups)])


def _header(results: SpeedResults) -> str:
    s, machine = results.settings, results.machine
    half = 'bfloat16' if s['device'] == 'cpu' else 'float16'
    parts = [
        _title(results),
        f'autocast to {half}' if s['amp'] else machine['float32'],
        f'batch {s["batch"]}' + (', channels last' if s['channels_last'] else ''),
        f'ResNet-{s["depth"]}, {s["base_channels"]} base channels',
        f'frozen_stages={s["frozen_stages"]}, rounds={s["rounds"]}',
        *([s['config']] if s['config'] else []),
    ]
    plain = sorted(median(row['seconds']['plain']) for row in results.groups.values())
    took = f'{plain[0]:.3g} to {plain[-1]:.3g} s in the median'
    base = BASES[s['mode']]
    lines = [
        ', '.join(parts) + '.',
        f'Measured on {machine["device"]}, threads={s["threads"]}, torch {machine["torch"]}; '
        f'{base} took {took}; a large copy into '
        f'new memory moves {(results.bandwidth or 0) / 1e9:.1f} GB/s, read and written.',
        f'Time over that of {base} in the same round: median over the rounds (quartiles).',
    ]
    if s['mode'] == 'blocks':
        lines.append(
            f'A gate must move {MAPS_READ_AND_WRITTEN[s["train"]]} maps, the copy moves 2; memory '
            'is over the size of the map.'
        )
    else:
        told = GATES[s.get('gates', 'loaded')]  # Figures from before it was a choice.
        lines.append(f'norm_eval=True; gates in frozen stages are {told}.')
    if machine.get('pages') == 'large':
        lines.append('Tensors lie on large pages where the system allows, as in all commands.')
    if noise := _noise(results):
        lines.append(noise)
    return '\n'.join(lines)


def _noise(results: SpeedResults) -> str:
    """How far the plain network is from itself, in a sentence; empty if it was not measured."""
    found = [row['ratios'].get('control') for row in results.groups.values()]
    medians = [ratio['median'] for ratio in found if ratio is not None]
    if not medians:
        return ''
    told = f'The plain network against itself: {min(medians):.3f} to {max(medians):.3f}'
    if max(abs(median - 1) for median in medians) <= NOISE:
        return f'{told}. Smaller differences are noise.'
    return f'{told}, more than the {NOISE:.0%} aimed at: smaller differences are noise.'


def _title(results: SpeedResults) -> str:
    s = results.settings
    what = 'training step' if s['train'] else 'inference'
    return f'{s["mode"]}, {what}, size {s["size"][0]}x{s["size"][1]}'


def _notes(groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    notes = list(dict.fromkeys(note for row in groups.values() for note in row['notes']))
    for key, row in groups.items():
        notes += [
            f'{key}: the outputs of {TITLES[name]} differ from the others by {difference:.1e} of '
            'the largest; rounding explains that in half precision and TF32, not in float32'
            for name, difference in row['difference'].items()
            if not difference <= TOLERANCE  # NaN is no agreement either.
        ]
    return ['\n'.join(f'- {note}' for note in notes)] if notes else []


def _ratio(ratio: Mapping[str, float] | None) -> str:
    return '-' if ratio is None else '{median:.3f} ({low:.3f}-{high:.3f})'.format(**ratio)


def _over(seconds: Mapping[str, Sequence[float]], name: str, base: str) -> str:
    if name not in seconds:
        return '-'
    return _ratio(ratios({key: seconds[key] for key in (base, name)}, base)[name]._asdict())


def _extra(row: Mapping[str, Any], figure: str, name: str) -> str:
    """Bytes beyond the plain network's in percent of them, or in percent of a map."""
    measured = row.get(figure) or {}
    if measured.get(name) is None:
        return '-'
    share = measured[name] / row.get('map_bytes', measured.get('plain')) - ('map_bytes' not in row)
    return f'{100 * share:+.1f}'


def draw_report(results: SpeedResults, out: str | Path) -> None:
    """Bars of the ratios, one group of bars a block, into a PNG file."""
    bars = sum(len(row['ratios']) for row in results.groups.values())
    figure = Figure(figsize=(8, 1.5 + 0.22 * bars), layout='constrained')
    figure.suptitle(f'{_title(results)}, {results.machine["device"]}')
    axes = figure.subplots()
    place, ticks, drawn = 0.0, [], {}
    for row in results.groups.values():
        shown = [name for name in TITLES if name in row['ratios']]
        ticks.append(place + (len(shown) - 1) / 2)
        for name in shown:
            middle, low, high = (row['ratios'][name][k] for k in ('median', 'low', 'high'))
            error = [[middle - low], [high - middle]]
            bar = axes.barh(place, middle, 0.85, color=COLOURS[name], xerr=error)
            drawn[TITLES[name]] = bar
            axes.text(0, place, f' {middle:.3f}', va='center', fontsize=7, color='white')
            place += 1
        place += 0.8
    axes.axvline(1, color='black', linewidth=1)
    axes.set_yticks(ticks, list(results.groups))
    axes.invert_yaxis()
    axes.set_xlabel(f'time over that of {BASES[results.settings["mode"]]}')
    axes.grid(axis='x', alpha=0.3)
    axes.legend(drawn.values(), drawn, fontsize=8)
    figure.savefig(out, dpi=100, format='png', metadata=dict(Source=signature(results.groups)))


def signature(groups: Mapping[str, Any]) -> str:
    """Which figures a picture is of: its pixels hang on the fonts of the machine."""
    return hashlib.sha256(json.dumps(groups, sort_keys=True).encode()).hexdigest()
