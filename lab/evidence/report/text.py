"""The text of a report: what was run, how to read it, the tables, where it all came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ..key import CellKey
from ..results.result import CellResult
from .comparison import Comparison, primary
from .markdown import bullets, escape, width
from .published import TOLERANCE, gains_of_others, published_table, sources
from .tables import (
    cells_table,
    class_table,
    cost_table,
    gains_table,
    machine_name,
    noise_table,
    overview_table,
    parts_table,
)

_READING = (
    'AP and accuracy are in percent, gains in percent points. A gain is the mean over seeds of a '
    'block less the baseline of the same seed; a seed that one side lacks does not count.',
    'Brackets hold 95 % intervals from a bootstrap over seeds and, where cells keep resamples, '
    'over validation images. They are widened for few seeds, yet a spread guessed from two or '
    'three seeds is a rough guess: where two seeds happen to agree it is far too narrow. With one '
    'seed they cover the images alone.',
    'A classifier that detectors start from is trained once for a block, with one seed: whether it '
    'was lucky is in no interval and in no noise.',
    'The noise of a mean gain is what seeds alone do to the mean of as many differences of two '
    "baselines, at 95 % by Student's t. Paired cells share the order of the data and the first "
    'weights of all but the block, save that a block with a classifier of its own has the trunk '
    'of that. So their differences should scatter less, but a block may scatter more by itself.',
    'A gain is clear of the noise if its interval leaves out 0 and it is larger than that noise; '
    'with one seed that is not known. With many blocks some gain will be by chance: nothing is '
    'corrected for the number of blocks.',
    'Cells of several commits stand together as long as they have the fingerprint of today: of '
    'config, data, what is measured, and a revision that goes up when a mended fault changes what '
    'cells find.',
    'Every block is shown, with a gain or without; the row of one that was not run is empty.',
)


def report_text(
    results: Sequence[CellResult],
    comparisons: Sequence[Comparison],
    title: str,
    about: str,
    planned: Sequence[CellKey],
    pictures: Mapping[str, str],
) -> str:
    """The whole report in Markdown.

    Args:
        results (Sequence[CellResult]): Finished cells, whose files lie in the folder ``cells``.
        comparisons (Sequence[Comparison]): The same by their setting.
        title (str): Of the report.
        about (str): What the matrix is for, in paragraphs; may be empty.
        planned (Sequence[CellKey]): All cells of the matrix; none if that is not known.
        pictures (Mapping[str, str]): Captions of the pictures by file.
    """
    done = {result.key for result in results}
    missing = [key.name for key in dict.fromkeys(planned) if key not in done]
    pieces = [f'# {escape(title)}']
    pieces += [escape(' '.join(text.split())) for text in about.split('\n\n') if text.strip()]
    pieces += ['## What was run', _origin(results, planned, missing)]
    pieces += ['## How to read this', bullets(_READING)]
    pieces += ['## All comparisons', overview_table(comparisons).markdown()]
    pieces += [f'![{escape(caption)}]({file})' for file, caption in pictures.items()]
    for comparison in comparisons:
        pieces += _section(comparison)
    if results:
        pieces += ['## Noise floor', noise_table(comparisons).markdown()]
    pieces += _published(comparisons)
    pieces.append('## Cells')
    if missing:
        pieces += ['Missing cells:', bullets(missing)]
    if results:
        pieces.append(cells_table(results, 'cells').markdown())
    lines = list(dict.fromkeys(line for result in results for line in result.commands))
    if lines:
        code = '\n'.join(f'    {line}' for line in lines)
        summary = f'<details><summary>All {len(lines)} commands of the cells.</summary>'
        pieces += ['## Commands', f'{summary}\n\n{code}\n\n</details>']
    return '\n\n'.join(pieces) + '\n'


def _origin(
    results: Sequence[CellResult], planned: Sequence[CellKey], missing: Sequence[str]
) -> str:
    """Counts, seeds, images, hours, machines and versions."""
    settings = len({result.key.setting for result in results})
    compared = 'comparison' if settings == 1 else 'comparisons'
    count = f'{len(results)} finished cells in {settings} {compared}'
    if planned:
        items = [f'{count}; {len(planned)} were planned; missing: {len(missing)}.']
    else:
        items = [f'{count}; what was planned is not known here.']
    seeds = sorted({result.key.seed or 0 for result in results})
    items.append(f'Seeds: {", ".join(map(str, seeds)) or "none"}.')
    images: dict[str, dict[str, None]] = {}
    for result in results:
        if told := ' and '.join(f'{count} {split}' for split, count in result.images.items()):
            images.setdefault(result.key.data, {})[told] = None
    items += [f'Images of {data}: {" or ".join(told)}.' for data, told in images.items()]
    items.append(
        f'Time, summed over the cells: {_hours(results)}; trainings without their validations.'
    )
    machines = (machine_name(result.machine) for result in results)
    items += [f'Machine: {told}.' for told in _counted(machines)]
    for name in dict.fromkeys(name for result in results for name in result.versions):
        values = (r.versions[name].replace(', ', ' and ') for r in results if name in r.versions)
        items.append(f'{name}: {", ".join(_counted(values))}.')
    return bullets(items)


def _hours(results: Sequence[CellResult]) -> str:
    hours: Counter[str] = Counter()
    cells: Counter[str] = Counter()
    for result in results:
        hours.update(result.hours)
        cells.update(result.hours.keys())
    parts = [
        f'{name} {value:.2f}' + (f' of {cells[name]} cells' if cells[name] < len(results) else '')
        for name, value in hours.items()
    ]
    told = f' ({", ".join(parts)})' if parts else ''
    return f'{hours.total():.2f} hours{told}'


def _counted(values: Iterable[str]) -> list[str]:
    """Each value, with the number of cells where there are several."""
    counts = Counter(values)
    if len(counts) == 1:
        return list(counts)
    return [f'{value} ({count} cells)' for value, count in counts.items()]


def _section(comparison: Comparison) -> list[str]:
    pieces = [f'## {escape(comparison.setting.title)}']
    if not comparison.results:
        pieces.append('Not run.')
    for kind in comparison.kinds:
        pieces.append(gains_table(comparison, kind).markdown())
        if comparison.results:
            pieces += _methods(comparison, kind)
            if kind != 'accuracy':
                pieces.append(parts_table(comparison, kind).markdown())
            if comparison.classes(kind):
                pieces.append(class_table(comparison, kind).markdown())
    if published := published_table(comparison):
        pieces.append(published.markdown())
    if any(result.cost for result in comparison.results):
        pieces.append(cost_table(comparison).markdown())
    return pieces


def _methods(comparison: Comparison, kind: str) -> list[str]:
    """What the intervals of the table above are over."""
    gains = comparison.gains(primary(kind))
    by_method: dict[str, list[str]] = {}
    for block, gain in gains.items():
        by_method.setdefault(gain.method, []).append(block)
    none = by_method.pop('none', [])
    told = [f'over {method} for {", ".join(blocks)}' for method, blocks in by_method.items()]
    told += [f'none for {", ".join(none)}, of one seed and without resamples'] if none else []
    without = [block for block in comparison.blocks if block not in gains]
    unpaired = [block for block in without if comparison.cells(block)]
    not_run = [block for block in without if not comparison.cells(block)]
    texts = [f'Intervals, here and below: {"; ".join(told)}.'] if told else []
    if unpaired:
        texts.append(f'No seed has both the baseline and {", ".join(unpaired)}: no gain.')
    if not_run:
        texts.append(f'Not run: {", ".join(not_run)}.')
    return [escape(' '.join(texts))] if texts else []


def _published(comparisons: Sequence[Comparison]) -> list[str]:
    shown = any(
        gains_of_others(comparison, block, primary(kind))
        for comparison in comparisons
        for kind in comparison.kinds
        for block in comparison.blocks
    )
    if not shown:
        return []
    text = (
        'Gains that others published are of COCO, full width and their own schedules, of one run '
        'as a rule, of which some papers show the best epoch; beside other data they only say what '
        'was hoped for. On COCO ours is said to '
        f'be within a published gain if they differ by {width(TOLERANCE)} AP at most: two '
        'trainings of one COCO config, with or without a seed, are reported to end less than 0.3 '
        'AP apart (mmdetection issues 3496 and 3624), and two gains differ by the square root of '
        '2 times as much. Beside the gains the verdict is over the first source, if of the same '
        'schedule; there is none where nobody published that, or ours was not run. The sources:'
    )
    numbered = [f'[{number}] {source}' for number, source in enumerate(sources(), start=1)]
    return ['## Published figures', escape(text), bullets(numbered)]
