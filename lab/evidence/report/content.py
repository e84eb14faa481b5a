"""The report, piece by piece: what both its Markdown and its page say."""

from __future__ import annotations

from collections.abc import Sequence

from ..matrix.result import CellKey, CellResult
from .cell_tables import cells_table, noise_table
from .comparison import ComparedCells, compare, primary
from .document import Bullets, Heading, Paragraph, Picture, Piece
from .figures import width
from .origin import commands, missing_cells, origin
from .published import TOLERANCE
from .published_tables import gains_of_others, published_table, sources
from .tables import class_table, cost_table, gains_table, overview_table, parts_table

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


def report_pieces(
    results: Sequence[CellResult],
    title: str,
    about: str,
    planned: Sequence[CellKey],
    pictures: Sequence[Picture],
    cells_folder: str,
) -> list[Piece]:
    """The whole report.

    Args:
        results (Sequence[CellResult]): Finished cells.
        title (str): Of the report.
        about (str): What the matrix is for, in paragraphs; may be empty.
        planned (Sequence[CellKey]): All cells of the matrix; none if that is not known.
        pictures (Sequence[Picture]): Those that were drawn.
        cells_folder (str): Where the JSON files of cells are, relative to the report.
    """
    comparisons = compare(results, planned)
    pieces: list[Piece] = [Heading(title, 1)]
    pieces += [Paragraph(' '.join(text.split())) for text in about.split('\n\n') if text.strip()]
    pieces += origin(results, planned)
    pieces += [Heading('How to read this'), Bullets(_READING)]
    pieces += [Heading('All comparisons'), overview_table(comparisons), *pictures]
    for comparison in comparisons:
        pieces += _section(comparison)
    if results:
        pieces += [Heading('Noise floor'), noise_table(comparisons)]
    pieces += _published(comparisons)
    pieces += [Heading('Cells'), *missing_cells(results, planned)]
    if results:
        pieces += [cells_table(results, cells_folder), *commands(results)]
    return pieces


def _section(comparison: ComparedCells) -> list[Piece]:
    pieces: list[Piece] = [Heading(comparison.setting.title)]
    if not comparison.results:
        pieces.append(Paragraph('Not run.'))
        kinds = [gains_table(comparison, kind) for kind in comparison.kinds]
        return pieces + kinds + published_table(comparison)
    for kind in comparison.kinds:
        pieces += [gains_table(comparison, kind), *_methods(comparison, kind)]
        if kind != 'accuracy':
            pieces.append(parts_table(comparison, kind))
        if comparison.classes(kind):
            pieces.append(class_table(comparison, kind))
    pieces += published_table(comparison)
    if any(result.cost for result in comparison.results):
        pieces.append(cost_table(comparison))
    return pieces


def _methods(comparison: ComparedCells, kind: str) -> list[Piece]:
    """What the intervals of the table above are over."""
    by_method: dict[str, list[str]] = {}
    for block, gain in comparison.gains(primary(kind)).items():
        by_method.setdefault(gain.method, []).append(block)
    none = by_method.pop('none', [])
    told = [f'over {method} for {", ".join(blocks)}' for method, blocks in by_method.items()]
    told += [f'none for {", ".join(none)}, of one seed and without resamples'] if none else []
    without = [b for b in comparison.attentions if b not in comparison.gains(primary(kind))]
    unpaired = [block for block in without if comparison.cells(block)]
    not_run = [block for block in without if not comparison.cells(block)]
    texts = [f'Intervals, here and below: {"; ".join(told)}.'] if told else []
    if unpaired:
        texts.append(f'No seed has both the baseline and {", ".join(unpaired)}: no gain.')
    if not_run:
        texts.append(f'Not run: {", ".join(not_run)}.')
    return [Paragraph(' '.join(texts))] if texts else []


def _published(comparisons: Sequence[ComparedCells]) -> list[Piece]:
    shown = any(
        gains_of_others(comparison, block, primary(kind))
        for comparison in comparisons
        for kind in comparison.kinds
        for block in comparison.attentions
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
    return [Heading('Published figures'), Paragraph(text), Bullets(numbered)]
