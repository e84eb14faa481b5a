"""The page: one file that needs no other, and no network."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from ge_det.report.figures import DPI


@dataclass(frozen=True)
class Image:
    """A picture of the page, which lies beside it as a file, too.

    Args:
        file (str): Name of the file.
        content (bytes): PNG or JPEG.
        alt (str): What it shows, in words.
        caption (str): Shown below it. Defaults to ''.
    """

    file: str
    content: bytes
    alt: str
    caption: str = ''

    @property
    def base64(self) -> str:
        """The content as text."""
        return base64.b64encode(self.content).decode('ascii')

    @property
    def width(self) -> int | None:
        """Pixels of a browser that a figure is wide; None for photos."""
        if not self.content.startswith(b'\x89PNG'):
            return None
        return int.from_bytes(self.content[16:20], 'big') * 96 // DPI


def render(values: Mapping[str, Any], package: str = 'ge_det.report') -> bytes:
    """A page, as UTF-8; every name in it is data, never HTML.

    Args:
        values (Mapping): What its template takes.
        package (str): Whose ``page.html.j2`` it is, which may include the templates here. Defaults
            to the report's.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folders = [str(files(name)) for name in (package, 'ge_det.report')]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, loader=FileSystemLoader(folders)
    )
    text = environment.get_template('page.html.j2').render(values)
    return text.encode('utf-8', 'replace')
