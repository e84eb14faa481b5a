"""The text of a report: what was run, how to read it, the tables, where it all came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..key import CellKey
from ..results.result import CellResult, machine_name
from . import tables
from .comparison import Comparison, primary
from .markdown import bullets, escape, width
from .onset import onset_table
from .published import TOLERANCE, gains_of_others, published_table, sources

_FOLDER = Path(__file__).parent


def report_text(
    results: Sequence[CellResult],
    comparisons: Sequence[Comparison],
    title: str,
    about: str,
    planned: Sequence[CellKey],
    pictures: Mapping[str, str],
) -> str:
    """The whole report in Markdown, from what ``write_report`` is given; pictures are captions."""
    done = {result.key for result in results}
    missing = [key.name for key in dict.fromkeys(planned) if key not in done]
    pieces = [f'# {escape(title)}']
    pieces += [escape(' '.join(text.split())) for text in about.split('\n\n') if text.strip()]
    pieces += ['## What was run', bullets(_origin(results, planned, missing))]
    pieces.append((_FOLDER / 'reading.md').read_text(encoding='utf-8').strip())
    pieces += ['## All comparisons', tables.overview_table(comparisons).markdown()]
    pieces += [f'![{escape(caption)}]({file})' for file, caption in pictures.items()]
    for comparison in comparisons:
        pieces += _section(comparison)
    if results:
        pieces += ['## Noise floor', tables.noise_table(comparisons).markdown()]
    if any(
        gains_of_others(c, block, primary(kind))
        for c in comparisons
        for kind in c.kinds
        for block in c.blocks
    ):
        text = (_FOLDER / 'published.md').read_text(encoding='utf-8').strip()
        numbered = [f'[{number}] {source}' for number, source in enumerate(sources(), start=1)]
        pieces += [text.replace('{tolerance}', width(TOLERANCE)), bullets(numbered)]
    pieces.append('## Cells')
    if missing:
        pieces += ['Missing cells:', bullets(missing)]
    if results:
        pieces.append(tables.cells_table(results).markdown())
    if lines := list(dict.fromkeys(line for result in results for line in result.commands)):
        code = '\n'.join(f'    {line}' for line in lines)
        summary = f'<details><summary>All {len(lines)} commands of the cells.</summary>'
        pieces += ['## Commands', f'{summary}\n\n{code}\n\n</details>']
    return '\n\n'.join(pieces) + '\n'


def _origin(
    results: Sequence[CellResult], planned: Sequence[CellKey], missing: Sequence[str]
) -> Iterator[str]:
    """Counts, seeds, images, hours, machines and versions."""
    settings = len({result.key.setting for result in results})
    count = f'{len(results)} finished cells in {settings} comparison{"s" * (settings != 1)}'
    plan = f'{len(planned)} were planned; missing: {len(missing)}.'
    yield f'{count}; {plan if planned else "what was planned is not known here."}'
    yield f'Seeds: {", ".join(map(str, sorted({r.key.seed or 0 for r in results}))) or "none"}.'
    images: dict[str, dict[str, None]] = {}
    hours: Counter[str] = Counter()
    timed: Counter[str] = Counter()
    for result in results:
        if told := ' and '.join(f'{count} {split}' for split, count in result.images.items()):
            images.setdefault(result.key.data, {})[told] = None
        hours.update(result.hours)
        timed.update(result.hours.keys())
    yield from (f'Images of {data}: {" or ".join(told)}.' for data, told in images.items())
    parts = ', '.join(
        f'{name} {value:.2f}' + (f' of {timed[name]} cells' if timed[name] < len(results) else '')
        for name, value in hours.items()
    )
    told = f'{hours.total():.2f} hours{f" ({parts})" if parts else ""}'
    yield f'Time, summed over the cells: {told}; trainings without their validations.'
    machines = (machine_name(result.machine) for result in results)
    yield from (f'Machine: {told}.' for told in _counted(machines))
    for name in dict.fromkeys(name for result in results for name in result.versions):
        values = (r.versions[name].replace(', ', ' and ') for r in results if name in r.versions)
        yield f'{name}: {", ".join(_counted(values))}.'


def _counted(values: Iterable[str]) -> list[str]:
    """Each value, with the number of cells where there are several."""
    counts = Counter(values)
    if len(counts) == 1:
        return list(counts)
    return [f'{value} ({count} cells)' for value, count in counts.items()]


def _section(comparison: Comparison) -> Iterator[str]:
    yield f'## {escape(comparison.setting.title)}'
    if not comparison.results:
        yield 'Not run.'
    for kind in comparison.kinds:
        yield tables.gains_table(comparison, kind).markdown()
        if comparison.results:
            if told := _methods(comparison, kind):
                yield escape(told)
            if kind != 'accuracy':
                yield tables.parts_table(comparison, kind).markdown()
            if comparison.classes(kind):
                yield tables.class_table(comparison, kind).markdown()
    if onset := onset_table(comparison):
        yield onset.markdown()
    if published := published_table(comparison):
        yield published.markdown()
    if any(result.cost for result in comparison.results):
        yield tables.cost_table(comparison).markdown()


def _methods(comparison: Comparison, kind: str) -> str:
    """What the intervals of a table of gains are over, and which blocks have none."""
    blocks: dict[str, list[str]] = {}
    gains = comparison.gains(primary(kind))
    for block in [*gains, *(block for block in comparison.blocks if block not in gains)]:
        without = 'unpaired' if comparison.cells(block) else 'not run'
        method = gains[block].method if block in gains else without
        blocks.setdefault(method, []).append(block)
    names = {method: ', '.join(found) for method, found in blocks.items()}
    none, unpaired, not_run = (names.pop(key, '') for key in ('none', 'unpaired', 'not run'))
    told = [f'over {method} for {found}' for method, found in names.items()]
    if none:
        told.append(f'none for {none}, of one seed and without resamples')
    texts = [f'Intervals, here and below: {"; ".join(told)}.'] if told else []
    if unpaired:
        texts.append(f'No seed has both the baseline and {unpaired}: no gain.')
    if not_run:
        texts.append(f'Not run: {not_run}.')
    return ' '.join(texts)
