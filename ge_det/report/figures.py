"""What all figures of a report share: style, names that a font can draw, and the file."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from typing import Any

from ge_det.drawing.fonts import letters_of

BLUE, ORANGE, GREY = '#2563c9', '#d9730d', '#8a8f98'
DPI = 160  # Of files; the page shows them at 96, so that they are sharp on any screen.
LONGEST = 24
"""Characters of a name in a figure."""

# Those that are there are taken one after another, for letters that the ones before lack.
_FONTS = (
    *('DejaVu Sans', 'Noto Sans', 'Noto Sans CJK SC', 'Noto Sans CJK JP', 'Source Han Sans SC'),
    *('WenQuanYi Zen Hei', 'PingFang SC', 'Hiragino Sans', 'Microsoft YaHei', 'Yu Gothic'),
    *('Malgun Gothic', 'Noto Sans Arabic', 'Noto Sans Devanagari', 'Arial Unicode MS'),
)


def draw(size: tuple[float, float], into: Callable[[Any], None]) -> bytes:
    """A figure as a PNG file.

    Args:
        size (tuple[float, float]): Width and height in inches; no side is longer than 100.
        into (callable): Draws into the matplotlib figure that it is given.
    """
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = {
        'font.family': fonts(),
        'font.size': 9,
        'text.parse_math': False,  # A name may have a dollar in it.
        'axes.spines.top': False,
        'axes.spines.right': False,
        'axes.grid': True,
        'axes.axisbelow': True,
        'grid.color': '#e4e6ea',
        'axes.edgecolor': '#8a8f98',
        'axes.titlesize': 10,
        'axes.titleweight': 'bold',
        'axes.titlelocation': 'left',
        'legend.frameon': False,
    }
    with matplotlib.rc_context(style):
        # Of a picture like a thread more would be asked for than any file holds.
        width, height = (min(side, 100.0) for side in size)
        figure = Figure(figsize=(width, height), layout='constrained')
        into(figure)
        file = io.BytesIO()
        figure.savefig(file, format='png', dpi=DPI, facecolor='white', metadata={'Software': None})
    return file.getvalue()


@functools.cache
def fonts() -> list[str]:
    """Of the fonts that have many letters, those that are there."""
    from matplotlib import font_manager

    there = {one.name for one in font_manager.fontManager.ttflist}
    return [one for one in _FONTS if one in there]


def drawable(names: Sequence[str]) -> list[str]:
    """Names for figures: short, and with their number instead where no font has their letters."""
    return [_short(name) if _has_letters(name) else f'#{place + 1}'
            for place, name in enumerate(names)]  # fmt: skip


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + '…'


def _has_letters(name: str) -> bool:
    from matplotlib.font_manager import findfont

    known = [letters_of(findfont(font)) for font in fonts()]
    return name.isprintable() and all(any(ord(char) in one for one in known) for char in name)
