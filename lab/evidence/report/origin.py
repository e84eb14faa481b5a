"""Where the results are from: counts, seeds, machines, versions, hours, commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ..matrix.result import CellKey, CellResult
from .cell_tables import machine_name
from .comparison import Setting
from .document import Bullets, Code, Heading, Paragraph, Piece


def origin(results: Sequence[CellResult], planned: Sequence[CellKey]) -> list[Piece]:
    """What was run, where and with what.

    Args:
        results (Sequence[CellResult]): All finished cells.
        planned (Sequence[CellKey]): All cells of the matrix; none if that is not known.
    """
    items = [_count(results, planned)]
    seeds = sorted({result.key.seed for result in results})
    items.append(f'Seeds: {", ".join(map(str, seeds)) or "none"}.')
    for setting, images in _images(results).items():
        items.append(f'Images of {setting}: {images}.')
    items.append(
        f'Time, summed over the cells: {_hours(results)}; trainings without their validations.'
    )
    items += [f'Machine: {told}.' for told in _told(map(machine_name, results))]
    names = dict.fromkeys(name for result in results for name in result.versions)
    for name in names:
        values = (r.versions[name].replace(', ', ' and ') for r in results if name in r.versions)
        items.append(f'{name}: {", ".join(_told(values))}.')
    return [Heading('What was run'), Bullets(items)]


def commands(results: Sequence[CellResult]) -> list[Piece]:
    """What was typed for every cell."""
    lines = list(dict.fromkeys(line for result in results for line in result.commands))
    if not lines:
        return []
    return [Heading('Commands'), Code(f'All {len(lines)} commands of the cells.', lines)]


def missing(results: Iterable[CellResult], planned: Iterable[CellKey]) -> list[CellKey]:
    """Planned cells without a result, in the order of the plan."""
    done = {result.key for result in results}
    return [key for key in dict.fromkeys(planned) if key not in done]


def _count(results: Sequence[CellResult], planned: Sequence[CellKey]) -> str:
    settings = len({Setting.of(result.key) for result in results})
    compared = 'comparison' if settings == 1 else 'comparisons'
    text = f'{len(results)} finished cells in {settings} {compared}'
    if not planned:
        return f'{text}; what was planned is not known here.'
    return f'{text}; {len(planned)} were planned; missing: {len(missing(results, planned))}.'


def missing_cells(results: Sequence[CellResult], planned: Sequence[CellKey]) -> list[Piece]:
    """Names of the cells that were planned and have no result."""
    names = [key.name for key in missing(results, planned)]
    return [Paragraph('Missing cells:'), Bullets(names)] if names else []


def _images(results: Iterable[CellResult]) -> dict[str, str]:
    found: dict[str, dict[str, None]] = {}
    for result in results:
        told = ' and '.join(f'{count} {split}' for split, count in result.images.items())
        if told:
            found.setdefault(result.key.data, {})[told] = None
    return {data: ' or '.join(told) for data, told in found.items()}


def _hours(results: Iterable[CellResult]) -> str:
    hours: Counter[str] = Counter()
    cells: Counter[str] = Counter()
    results = list(results)
    for result in results:
        hours.update(result.hours)
        cells.update(result.hours.keys())
    parts = ''.join(
        f', {name} {value:.2f}' + (f' of {cells[name]} cells' if cells[name] < len(results) else '')
        for name, value in hours.items()
    )
    return f'{hours.total():.2f} hours{f" ({parts[2:]})" if parts else ""}'


def _told(values: Iterable[str]) -> list[str]:
    """Each value, with the number of cells where there are several."""
    counts = Counter(values)
    if len(counts) == 1:
        return list(counts)
    return [f'{value} ({count} cells)' for value, count in counts.items()]
