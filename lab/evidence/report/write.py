"""Write a report: Markdown, a page, pictures."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, PngImagePlugin

from ..matrix.result import CellKey, CellResult
from ..matrix.workplace import Workplace
from .comparison import compare
from .content import report_pieces
from .curve_plots import draw_training
from .document import Picture
from .html import to_html
from .markdown import to_markdown
from .plots import draw_cost, draw_gains

_PICTURES = {
    'gains.png': (
        draw_gains,
        'Gain over the baseline: means with 95 % intervals, single seeds as small dots, the noise '
        'of a mean gain in grey; a hollow mark is the gain that others published on COCO.',
    ),
    'cost.png': (draw_cost, 'Gain against the multiply-adds that a block adds to the network.'),
    'curves.png': (
        draw_training,
        'Training: thin lines are seeds, bold ones their mean; losses are averaged over stretches.',
    ),
}


def write_report(
    results: Iterable[CellResult],
    out_dir: str | Path,
    title: str,
    about: str = '',
    planned: Sequence[CellKey] = (),
) -> list[Path]:
    """Write ``report.md``, ``report.html`` and their pictures.

    The same results give the same text, whatever was in the folder before.

    Args:
        results (Iterable[CellResult]): Finished cells; the report keeps their order.
        out_dir (str | Path): Folder to write to, made if need be; the JSON files of the cells are
            taken to lie in its ``cells``.
        title (str): Of the report.
        about (str): What the matrix is for; empty lines part paragraphs. Defaults to nothing.
        planned (Sequence[CellKey]): All cells of the matrix, to tell which are missing. Defaults
            to none.

    Returns:
        list[Path]: The files written; a picture that would be empty is left out.

    Raises:
        ValueError: If a cell appears twice.
    """
    results = list(results)
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    comparisons = compare(results, planned)
    pictures = []
    for name, (draw, caption) in _PICTURES.items():
        if draw(comparisons, out / name):
            _sign(out / name, results)
            pictures.append(Picture(name, caption))
        else:
            (out / name).unlink(missing_ok=True)  # Of an earlier report, no longer of this one.
    pieces = report_pieces(results, title, about, planned, pictures, 'cells')
    page, text = out / 'report.html', out / 'report.md'
    text.write_text(to_markdown(pieces), encoding='utf-8')
    page.write_text(to_html(pieces, title, out), encoding='utf-8')
    return [text, page, *(out / picture.file for picture in pictures)]


def write_matrix_report(place: Workplace, out_dir: Path) -> list[Path]:
    """Write the report of the cells that are done.

    Args:
        place (Workplace): The matrix and its folders.
        out_dir (Path): Folder to write to; the results are taken to lie in its ``cells``.

    Returns:
        list[Path]: The files written.
    """
    matrix, file = place.matrix, os.path.relpath(place.matrix.file)
    how = (
        f'Run by "python tools/reproduce.py run {file}", which also carries it on; this report is '
        f'by "python tools/reproduce.py report {file}".'
    )
    return write_report(
        place.results(),
        out_dir,
        title=matrix.title,
        about=f'{matrix.about}\n\n{how}',
        planned=[cell.key for cell in place.cells],
    )


def _sign(picture: Path, results: Sequence[CellResult]) -> None:
    """Note in a picture which results it is of: its pixels hang on the fonts of the machine."""
    told = json.dumps([vars(result) for result in results], sort_keys=True)
    note = PngImagePlugin.PngInfo()
    note.add_text('Source', hashlib.sha256(told.encode()).hexdigest())
    with Image.open(picture) as image:
        image.save(picture, pnginfo=note, optimize=True)
