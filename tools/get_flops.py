"""`ge-det flops` under mmdet's name for it, and the published costs beside ours."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that `lab` imports from anywhere

from ge_det.cli import flops
from ge_det.cli.errors import run_command
from ge_det.errors import UserError


def parse_args(argv: Sequence[str] | None = None) -> Namespace:
    parser = flops.build_parser(
        'python tools/get_flops.py', '    python tools/get_flops.py --published\n'
    )
    parser.add_argument(
        '--published',
        action='store_true',
        help='instead: the published costs beside ours, a minute or two on one core',
    )
    return parser.parse_args(argv)


def count_published() -> tuple[str, object]:
    from lab.cost import comparison, table

    print(
        'get_flops: counting the published networks, a minute or two on one core', file=sys.stderr
    )
    compared = comparison.compare()
    return table.comparison_table(compared), table.comparison_rows(compared)


def get_flops(args: Namespace) -> None:
    if args.published == (args.config is not None):
        raise UserError('give either a CONFIG or --published')
    flops.report(count_published if args.published else lambda: flops.count(args), args.json)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command('get_flops', lambda: get_flops(parse_args(argv)))


if __name__ == '__main__':
    sys.exit(main())
