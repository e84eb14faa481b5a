"""A font that has the letters of a text: matplotlib's own, or one of the system's."""

from __future__ import annotations

import functools
from pathlib import Path


@functools.cache
def find_font(text: str) -> str:
    """The path of a font with all letters of a text, digits and an ellipsis; '' if none is here."""
    import matplotlib

    usual = Path(matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf')
    letters = frozenset(map(ord, f'{text}0123456789.…')) - {ord(' ')}
    if _has(str(usual), letters):
        return str(usual)
    return next((path for path in _of_the_system() if _has(path, letters)), '')


@functools.cache
def _of_the_system() -> tuple[str, ...]:
    from matplotlib.font_manager import fontManager

    # The last has a frame for any letter; in fonts of emoji, letters are pictures of one size.
    unfit = ('Last Resort', 'Emoji')
    fonts = [font for font in fontManager.ttflist if not any(name in font.name for name in unfit)]
    fonts.sort(key=lambda font: (font.style != 'normal', font.weight not in (400, 'normal')))
    return tuple(font.fname for font in fonts)


def _has(path: str, letters: frozenset[int]) -> bool:
    try:
        return letters <= letters_of(path)
    except (OSError, RuntimeError):  # Gone meanwhile, or of a kind FreeType does not read.
        return False


@functools.lru_cache(maxsize=16)
def letters_of(path: str) -> frozenset[int]:
    """The letters that a font file has, by number."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(path).get_charmap())
