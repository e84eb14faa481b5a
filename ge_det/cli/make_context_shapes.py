"""Draw a ContextShapes set to disk: COCO-format pictures, boxes and masks, without a download.

The same arguments give the same pixels on any machine. A finished folder is left as it is, an
interrupted one is completed, and a folder that holds anything else is refused.

    ge-det make-context-shapes --out data/context_shapes --train 2000 --val 500
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ge_det.cli.checks import check_new
from ge_det.cli.parsing import new_parser
from ge_det.datasets import CLASSES, ContextShapes
from ge_det.datasets.coco_writer import count_objects
from ge_det.datasets.contact_sheet import write_contact_sheet
from ge_det.datasets.shapes import SIZE_CLASSES
from ge_det.errors import UserError
from ge_det.words import counted

INTERRUPTED = 'run it again and it goes on'


def knob_help() -> dict[str, str]:
    """What the docstring of ContextShapes says about each of its arguments."""
    arguments = (inspect.getdoc(ContextShapes) or '').partition('Args:')[2].partition('Raises:')[0]
    found = re.findall(r'^ {4}(\w+): (.*?)(?=^ {4}\w|\Z)', arguments, re.MULTILINE | re.DOTALL)
    return {name: ' '.join(text.split()) for name, text in found}


def build_parser(argv: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """The command line, with one option for each argument of ContextShapes."""
    parser = new_parser('make-context-shapes', (__doc__ or '').partition('\n')[0], argv)
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='Folder of the set.')
    for split, count in (('train', 2000), ('val', 500)):
        parser.add_argument(
            f'--{split}',
            type=int,
            default=count,
            metavar='N',
            help=f'Number of pictures in this split. Default: {count}',
        )
    parser.add_argument(
        '--overwrite', action='store_true', help='Replace another set in DIR, and FILE.'
    )
    parser.add_argument(
        '--preview',
        type=Path,
        metavar='FILE',
        help='Also write a PNG sheet of validation pictures with their boxes and class names.',
    )
    parser.add_argument('--quiet', action='store_true', help='Show no progress bar.')
    texts = knob_help()
    for field in dataclasses.fields(ContextShapes):
        default: Any = field.default
        values = default if isinstance(default, tuple) else (default,)
        parser.add_argument(
            '--' + field.name.replace('_', '-'),
            type=type(values[0]),
            nargs=len(values) if isinstance(default, tuple) else None,
            default=default,
            metavar='N' if isinstance(values[0], int) else 'X',
            help=f'{texts.get(field.name, "")} Default: {" ".join(map(str, values))}',
        )
    return parser


def summary(split: str, file: Path) -> str:
    """Table of the objects of a split by class and size, as text."""
    content = json.loads(file.read_text(encoding='utf-8'))
    counts = count_objects(content)
    sizes = list(SIZE_CLASSES)
    rows = {name: [counts[name, size] for size in sizes] for name in CLASSES}
    rows['all'] = [sum(column) for column in zip(*rows.values(), strict=True)]
    total = sum(counts.values())
    lines = [
        f'{split}: {counted(len(content["images"]), "image")}, {counted(total, "object")} '
        f'({content["info"]["dropped_objects"]} more found no room)',
        ''.join(f'{cell:>9}' for cell in ['class', *sizes, 'all', 'share']),
    ]
    for name, row in rows.items():
        cells = [name, *row, sum(row), f'{sum(row) / total:.1%}']
        lines.append(''.join(f'{cell:>9}' for cell in cells))
    lines.append(f'sha256 of the pixels: {content["info"]["pixels_sha256"]}')
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the set, and tell what is in it."""
    args = build_parser(argv).parse_args(argv)
    if args.preview is not None:
        if args.preview.is_dir():
            raise UserError(f'--preview {args.preview}: is a folder; give the name of a file')
        check_new([args.preview], '--preview', args.overwrite)
    names = [field.name for field in dataclasses.fields(ContextShapes)]
    shapes = ContextShapes(**{name: getattr(args, name) for name in names})
    files = shapes.write(args.out, args.train, args.val, args.overwrite, not args.quiet)
    if args.preview is not None:
        write_contact_sheet(shapes, args.preview)
    for split, file in files.items():
        print(summary(split, file), end='\n\n')
    print(f'{args.out} is complete')
    return 0
