"""Draw the small pictures of docs/blocks.md: how a gate follows from a map, one row a variant.

    python docs/pictures/draw_blocks.py

A sketch on one drawn map: means and products are computed, what weights would do is not.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
SIDE, GAP, TOP, ROW = 78, 74, 22, 126  # Pixels.
FULL = 16  # Cells of a whole map, a side.
LEVELS = 12  # Of a colour.
MAP, GATE, INK = '#2f6fb0', '#d9822b', '#333333'

Cells = list[list[float]]


class Tile(NamedTuple):
    """A map: what the arrow before it says, what stands below it, its values in 0 to 1."""

    arrow: str
    label: str
    cells: Cells
    colour: str = MAP


def feature_map() -> Cells:
    """Two bumps on a low ground."""

    def value(i: int, j: int) -> float:
        large = math.exp(-((i - 5) ** 2 + (j - 10) ** 2) / 9)
        small = 0.7 * math.exp(-((i - 12) ** 2 + (j - 3) ** 2) / 4)
        return 0.12 + 0.85 * max(large, small)

    return [[value(i, j) for j in range(FULL)] for i in range(FULL)]


def pooled(cells: Cells, side: int) -> Cells:
    """Means over a grid of side x side windows."""
    step = len(cells) // side
    return [
        [
            sum(cells[i * step + a][j * step + b] for a in range(step) for b in range(step))
            / step**2
            for j in range(side)
        ]
        for i in range(side)
    ]


def spread(cells: Cells) -> Cells:
    """Stretched to 0 to 1, as a normalisation and a sigmoid would."""
    values = [value for row in cells for value in row]
    low, high = min(values), max(values)
    return [[0.5 if high == low else (v - low) / (high - low) for v in row] for row in cells]


def gate_of(cells: Cells) -> Cells:
    """A sigmoid of the stretched values."""
    return [[1 / (1 + math.exp(3 - 6 * value)) for value in row] for row in spread(cells)]


def enlarged(cells: Cells) -> Cells:
    """Nearest neighbour to the whole map."""
    step = FULL // len(cells)
    return [[cells[i // step][j // step] for j in range(FULL)] for i in range(FULL)]


def product(cells: Cells, gate: Cells) -> Cells:
    """Cell by cell."""
    return [[a * b for a, b in zip(*rows, strict=True)] for rows in zip(cells, gate, strict=True)]


X = feature_map()


def ending(gate: Cells) -> list[Tile]:
    """The gate at its own resolution, and the gated map."""
    said = 'C × 1 × 1' if len(gate) == 1 else f'C × H/{FULL // len(gate)} × W/{FULL // len(gate)}'
    return [
        Tile('sigmoid', f'gate {said}', gate, GATE),
        Tile('× x', 'C × H × W', product(X, enlarged(gate))),
    ]


def squeezed(side: int, arrow: str, label: str) -> Tile:
    """A pooled map, one cell a window."""
    return Tile(arrow, label, pooled(X, side))


START = Tile('', 'x: C × H × W', X)
HIDDEN = Tile('W₁, ReLU, W₂', 'C × 1 × 1', [[0.55]])


def rows_of_all() -> dict[str, list[list[Tile]]]:
    """The rows of each picture by its name."""
    eighth = pooled(X, 2)
    halves = [squeezed(8, '3×3 / 2', 'H/2'), squeezed(4, '3×3 / 2', 'H/4')]
    third = squeezed(2, '3×3 / 2', 'H/8')
    similarity = product(X, [[0.9] * FULL] * FULL)
    place = gate_of(X)
    mean = squeezed(1, 'mean', 'C × 1 × 1')
    return {
        'se': [[START, mean, HIDDEN, *ending([[0.62]])]],
        'gather-excite': [
            [START, squeezed(2, 'mean 15×15 / 8', 'θ⁻: H/8'), *ending(gate_of(eighth))],
            [START, *halves, third._replace(label='θ: H/8'), *ending(gate_of(eighth))],
            [
                START,
                *halves,
                third,
                Tile('W₁, ReLU, W₂', 'θ⁺: H/8', spread(eighth)),
                *ending(gate_of(eighth)),
            ],
        ],
        'sge': [
            [
                START,
                squeezed(1, 'mean', 'C/G × 1 × 1'),
                Tile('dot with x', '1 × H × W', similarity),
                Tile('normalise', '1 × H × W', spread(similarity)),
                Tile('γ, β, sigmoid', 'gate 1 × H × W', place, GATE),
                Tile('× x', 'C/G × H × W', product(X, place)),
            ]
        ],
        'sp-se': [
            [
                START,
                squeezed(4, 'means', '4×4, 2×2, 1×1'),
                Tile('fuse, BN, ReLU', 'C × 1 × 1', [[0.4]]),
                HIDDEN,
                *ending([[0.66]]),
            ]
        ],
        'rg-se': [
            [
                START,
                squeezed(8, 'means', '8×8 (4×4, 2×2, 1×1)'),
                Tile('fuse, BN, ReLU', 'C × 1 × 1', [[0.45]]),
                HIDDEN,
                *ending([[0.66]]),
            ]
        ],
    }


def text(x: float, y: float, content: str, size: int = 11) -> str:
    """Centred text."""
    style = f'font-family="sans-serif" font-size="{size}" fill="{INK}" text-anchor="middle"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{content}</text>'


def draw_tile(tile: Tile, x: float, y: float) -> list[str]:
    """A square of cells with its label."""
    side = SIDE / len(tile.cells)
    levels: dict[str, str] = {}
    for i, row in enumerate(tile.cells):
        for j, value in enumerate(row):
            opacity = f'{0.1 + 0.9 * round(value * LEVELS) / LEVELS:.2f}'
            levels[opacity] = levels.get(opacity, '') + f'M{j} {i}h1v1h-1z'
    place = f'transform="translate({x:g} {y:g}) scale({side:g})"'
    shades = [f'<path fill-opacity="{o}" d="{d}"/>' for o, d in levels.items()]
    parts = [f'<g fill="{tile.colour}" {place}>', *shades, '</g>']
    frame = f'<rect x="{x:g}" y="{y:g}" width="{SIDE}" height="{SIDE}" fill="none" stroke="{INK}"/>'
    return [*parts, frame, text(x + SIDE / 2, y + SIDE + 15, tile.label)]


def draw_row(tiles: list[Tile], y: float) -> list[str]:
    """Tiles from left to right with arrows between them."""
    parts: list[str] = []
    for index, tile in enumerate(tiles):
        x = 10 + index * (SIDE + GAP)
        if tile.arrow:
            middle = y + SIDE / 2
            line = f'M{x - GAP + 6:g} {middle:g} H{x - 8:g} m-6 -4 l6 4 l-6 4'
            parts.append(f'<path d="{line}" fill="none" stroke="{INK}"/>')
            parts.append(text(x - GAP / 2, middle - 8, tile.arrow, 9))
        parts += draw_tile(tile, x, y)
    return parts


def draw(rows: list[list[Tile]]) -> str:
    """A picture as the text of an SVG file."""
    width = 20 + max(len(row) for row in rows) * (SIDE + GAP) - GAP
    height = ROW * len(rows)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">'
    )
    ground = f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>'
    body = [part for n, row in enumerate(rows) for part in draw_row(row, TOP + n * ROW)]
    return '\n'.join([head, ground, *body, '</svg>']) + '\n'


def main() -> None:
    """Write every picture beside this file."""
    for name, rows in rows_of_all().items():
        (FOLDER / f'{name}.svg').write_text(draw(rows), encoding='utf-8')


if __name__ == '__main__':
    main()
