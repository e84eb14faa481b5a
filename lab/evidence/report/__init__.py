"""The report of a matrix: Markdown tables, pictures, and the published figures beside ours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, PngImagePlugin

from ..key import CellKey
from ..results.result import CellResult
from .comparison import compare
from .data_plots import draw_data
from .group_plots import draw_groups
from .plots import PICTURES
from .text import report_text

_MORE = {
    'groups.png': (
        draw_groups,
        'Groups of classes on the validation pictures as drawn and on the controls: a mark for '
        'each seed, a bar at their mean.',
    ),
    'data.png': (
        draw_data,
        'Groups of classes over the data sets: a mark for each seed, lines join the means.',
    ),
}


def write_report(
    results: Sequence[CellResult],
    out: Path,
    title: str,
    about: str = '',
    planned: Sequence[CellKey] = (),
) -> list[Path]:
    """Write ``report.md`` and its pictures, but those that would be empty; returns the files.

    The same results give the same text, whatever was in the folder before.

    Args:
        results (Sequence[CellResult]): Finished cells, in the order of the report.
        out (Path): Folder to write to, with the JSON files of the cells in its ``cells``.
        title (str): Of the report.
        about (str): What the matrix is for; empty lines part paragraphs.
        planned (Sequence[CellKey]): All cells of the matrix; none if that is not known.
    """
    out.mkdir(parents=True, exist_ok=True)
    comparisons = compare(results, planned)  # Their gains are computed once, for text and pictures.
    captions = {}
    for name, (draw, caption) in {**PICTURES, **_MORE}.items():
        if draw(comparisons, out / name):
            _sign(out / name, results)
            captions[name] = caption
        else:
            (out / name).unlink(missing_ok=True)  # Of an earlier report, no longer of this one.
    text = report_text(results, comparisons, title, about, planned, captions)
    (out / 'report.md').write_text(text, encoding='utf-8')
    return [out / name for name in ('report.md', *captions)]


def _sign(picture: Path, results: Sequence[CellResult]) -> None:
    """Note in a picture which results it is of: its pixels hang on the fonts of the machine."""
    told = json.dumps([vars(result) for result in results], sort_keys=True)
    note = PngImagePlugin.PngInfo()
    note.add_text('Source', hashlib.sha256(told.encode()).hexdigest())
    with Image.open(picture) as image:
        image.save(picture, pnginfo=note, optimize=True)
