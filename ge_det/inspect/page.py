"""The page: one file that stands alone, its pictures beside it, and its numbers as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ge_det.files import fit_name, read_json, write_whole
from ge_det.report import page as report_page

from .figure import Figure

PAGE, NUMBERS, FOLDER = 'index.html', 'numbers.json', 'figures'
_MAKER = 'ge-det inspect'


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Args:
        title (str): Its heading.
        text (Sequence[str]): A paragraph each.
        figures (Sequence[Figure]): Below it.
        table (Sequence[Sequence[str]]): A head and rows; none if empty.
    """

    title: str
    text: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    table: Sequence[Sequence[str]] = ()


def targets(out: Path) -> list[Path]:
    """What a page writes into a folder; the command sees that they are free."""
    return [out / PAGE, out / NUMBERS, out / FOLDER]


def write_page(
    out: Path, title: str, subtitle: str, sections: Sequence[Section], numbers: dict[str, Any]
) -> Path:
    """Write the page, ``figures/*.png`` and ``numbers.json``.

    Pictures of an earlier page in the folder that this one has not are taken away.

    Args:
        out (Path): The folder.
        title (str): Of the page.
        subtitle (str): Below it.
        sections (Sequence[Section]): In their order.
        numbers (dict): What is not in a figure, as plain values.

    Returns:
        Path: The page.

    Raises:
        OSError: If something cannot be written.
    """
    folder = out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    images: list[list[report_page.Image]] = []
    told: dict[str, dict[str, Any]] = {}
    for section in sections:
        images.append([])
        for figure in section.figures:
            name = fit_name(figure.title.replace('.', '_')).lower() or 'figure'
            file = f'{len(told) + 1:02}-{name[:80]}.png'
            told[file] = dict(title=figure.title, **figure.numbers)
            images[-1].append(report_page.Image(file, figure.png, figure.title, figure.caption))
    earlier = read_json(out / NUMBERS) or {}
    if earlier.get('made by') == _MAKER and isinstance(earlier.get('figures'), dict):
        for file in earlier['figures'].keys() - told.keys():
            (folder / Path(file).name).unlink(missing_ok=True)
    for image in (one for several in images for one in several):
        write_whole(folder / image.file, image.content, lasting=False)
    values = dict(title=title, subtitle=subtitle, sections=sections, images=images)
    write_whole(out / PAGE, report_page.render(values, __package__))
    content = _plain({'made by': _MAKER, **numbers, 'figures': told})
    write_whole(out / NUMBERS, json.dumps(content, indent=1).encode())
    return out / PAGE


def _plain(value: Any) -> Any:
    """With null for what is no number, which JSON does not know."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
