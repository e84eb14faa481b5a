"""A report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from pathlib import Path

from .document import Bullets, Code, Heading, Paragraph, Picture, Piece, Table

# Wide tables and pictures scroll in themselves: a phone shows all else at its own width.
_STYLE = """
:root { color-scheme: light dark; --text: #1c1c1c; --soft: #5a5a5a; --page: #ffffff;
  --line: #d5d5d5; --head: #f1f1f1; --link: #0057a8; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e4e4; --soft: #a8a8a8; --page: #161616;
  --line: #3a3a3a; --head: #242424; --link: #7ab8ff; } }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; color: var(--text);
  background: var(--page); font: 16px/1.5 system-ui, sans-serif; }
h1, h2, h3 { line-height: 1.25; margin: 1.8em 0 0.5em; }
h1 { margin-top: 0.5em; }
a { color: var(--link); }
.scroll { overflow-x: auto; margin: 0.8rem 0 1.4rem; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
caption { caption-side: top; text-align: left; color: var(--soft); padding-bottom: 0.3rem; }
th, td { border-bottom: 1px solid var(--line); padding: 0.3rem 0.7rem; text-align: right;
  white-space: nowrap; }
th { background: var(--head); }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1rem 0; overflow-x: auto; }
img { max-width: 100%; height: auto; background: #ffffff; }
@media (max-width: 40rem) { img { max-width: none; width: 56rem; } }
figcaption { color: var(--soft); font-size: 0.85rem; }
pre { overflow-x: auto; font-size: 0.8rem; background: var(--head); padding: 0.7rem; }
"""


def to_html(pieces: Iterable[Piece], title: str, folder: Path) -> str:
    """The text of ``report.html``.

    Args:
        pieces (Iterable[Piece]): The report.
        title (str): Of the window.
        folder (Path): Where its pictures are.
    """
    body = '\n'.join(_write(piece, folder) for piece in pieces)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n'
        f'<body>\n{body}\n</body>\n</html>\n'
    )


def _write(piece: Piece, folder: Path) -> str:
    if isinstance(piece, Heading):
        return f'<h{piece.level}>{escape(piece.text)}</h{piece.level}>'
    if isinstance(piece, Paragraph):
        return f'<p>{escape(piece.text)}</p>'
    if isinstance(piece, Bullets):
        return f'<ul>{"".join(f"<li>{escape(item)}</li>" for item in piece.items)}</ul>'
    if isinstance(piece, Code):
        lines = escape('\n'.join(piece.lines))
        summary = f'<summary>{escape(piece.summary)}</summary>'
        return f'<details>{summary}<pre>{lines}</pre></details>'
    if isinstance(piece, Picture):
        return _picture(piece, folder)
    return _table(piece)


def _picture(picture: Picture, folder: Path) -> str:
    data = base64.b64encode((folder / picture.file).read_bytes()).decode('ascii')
    caption = escape(picture.caption)
    image = f'<img src="data:image/png;base64,{data}" alt="{caption}">'
    return f'<figure>{image}<figcaption>{caption}</figcaption></figure>'


def _table(table: Table) -> str:
    def cell(text: str) -> str:
        address = table.links.get(text)
        shown = escape(text)
        return (
            f'<td><a href="{escape(address)}">{shown}</a></td>' if address else f'<td>{shown}</td>'
        )

    head = ''.join(f'<th scope="col">{escape(text)}</th>' for text in table.header)
    rows = '\n'.join(f'<tr>{"".join(cell(text) for text in row)}</tr>' for row in table.rows)
    return (
        f'<div class="scroll" tabindex="0"><table><caption>{escape(table.caption)}</caption>\n'
        f'<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>'
    )
