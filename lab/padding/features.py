"""How far the padding of a batch changes the features of a picture, by block.

    python -m lab.padding.features --json docs/padding_features.json

ResNet-50 with random weights. A change is the norm of the difference over the norm of the features.

- *Beside larger ones*: two pictures of other shapes in one batch, each against itself alone; all of
  its own area, the worst of four stages, at a quarter of the width.
- *Twice as wide*: a picture padded with zeros to double width; ``layer1`` alone, at full width, and
  only positions that no convolution brings the padding to, so that all comes through the gates.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tabulate import tabulate  # type: ignore[import-untyped]
from torch import Tensor

from ge_det.backbones import AttentionResNet
from ge_det.catalogue import NAMES, attention_config, stage_channels
from ge_det.files import write_whole
from lab.speed.contenders import randomise

Size = tuple[int, int]

SIZES: tuple[Size, ...] = ((150, 120), (128, 192))
"""Heights and widths of the pictures of one batch."""
BATCH = (192, 224)

ALONE, WIDER = (192, 192), (192, 384)
REACH = 8
"""Positions of ``layer1`` that its convolutions, the stem and the pooling reach at most."""

NARROW, FULL = 16, 64
"""Channels of the stem."""
_FIRST: dict[str, Any] = dict(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))


class Row(NamedTuple):
    """Changes of one block.

    Attributes:
        beside (float): Beside larger ones.
        beside_on (float): The same with ``valid_area``.
        wider (float): Twice as wide.
        wider_on (float): The same with ``valid_area``.
    """

    beside: float
    beside_on: float
    wider: float
    wider_on: float


def networks(name: str, width: int, **options: Any) -> tuple[Any, Any]:
    """A network with random weights, and the same that looks at the pictures' own areas."""
    attention = attention_config(name, stage_channels(50, width)[0])
    options = dict(options, attention=attention, base_channels=width)
    plain = AttentionResNet(50, **options)
    randomise(plain, seed=1)
    watching = AttentionResNet(50, valid_area=True, **options)
    watching.load_state_dict(plain.state_dict())
    return plain.eval(), watching.eval()


@torch.no_grad()
def measure(name: str, full: int = FULL) -> Row:
    """The changes of a block, by its short name; ``'none'`` is the plain network.

    Args:
        name (str): It.
        full (int): Width of the network of the last two. Defaults to that of a ResNet-50.
    """
    plain, watching = networks(name, NARROW)
    first, first_watching = networks(name, full, **_FIRST)
    return Row(
        beside(plain, plain),
        beside(plain, watching, SIZES),
        wider(first, first),
        wider(first, first_watching, [ALONE]),
    )


def beside(plain: Any, network: Any, sizes: Sequence[Size] | None = None) -> float:
    """Change of two pictures in one batch from what a network without padding gives of each."""
    pictures = [_picture(size, seed) for seed, size in enumerate(SIZES)]
    batch = torch.cat([_padded(one, BATCH) for one in pictures])
    maps = network(batch, sizes)
    return max(
        _off(level[number : number + 1, :, : own.shape[2], : own.shape[3]], own)
        for number, picture in enumerate(pictures)
        for level, own in zip(maps, plain(picture), strict=True)
    )


def wider(plain: Any, network: Any, sizes: Sequence[Size] | None = None) -> float:
    """Change of ``layer1`` far from the padding, of a picture padded to double width."""
    picture = _picture(ALONE, 2)
    own = plain(picture)[0]
    far = own.shape[3] - REACH
    return _off(network(_padded(picture, WIDER), sizes)[0][..., :far], own[..., :far])


def _picture(size: Size, seed: int) -> Tensor:
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(seed))


def _padded(picture: Tensor, size: Size) -> Tensor:
    height, width = picture.shape[2:]
    return torch.nn.functional.pad(picture, (0, size[1] - width, 0, size[0] - height))


def _off(found: Tensor, own: Tensor) -> float:
    return float((found - own).norm() / own.norm())


def table(rows: Iterable[tuple[str, Sequence[float]]]) -> str:
    """In Markdown, a row a block."""
    head = [
        'block',
        'beside larger ones',
        'with `valid_area`',
        'twice as wide',
        'with `valid_area`',
    ]
    lines = [
        ['none' if name == NAMES[0] else f'`{name}`', *(f'{value:.0e}' for value in row)]
        for name, row in rows
    ]
    return tabulate(lines, head, tablefmt='github', disable_numparse=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--blocks', nargs='+', default=NAMES, choices=NAMES)
    parser.add_argument('--json', type=Path, metavar='FILE', help='keep the figures here')
    args = parser.parse_args()
    rows = {name: measure(name) for name in args.blocks}
    if args.json:
        write_whole(args.json, (json.dumps(rows, indent=1) + '\n').encode())
    print(table(rows.items()))


if __name__ == '__main__':
    main()
