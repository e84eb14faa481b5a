"""Show what a gate is for: attach SE to a small trained detector and train it on, on drawn data.

    make demo

Everything is left in work_dirs/demo, the picture in work_dirs/demo/demo.jpg. Run again it goes on
where it was interrupted and repeats nothing that is done.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that `lab` imports from anywhere

from ge_det.cli.errors import run_command


def main() -> None:
    """Run the demo and tell what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--train', type=int, default=1000, help='training pictures (1000)')
    parser.add_argument('--val', type=int, default=150, help='validation pictures (150)')
    parser.add_argument('--epochs', type=int, help='epochs of training (as the config says)')
    args = parser.parse_args()
    begin = time.monotonic()
    from lab.demo.run import as_table, run_demo

    results = run_demo(args.work_dir.resolve(), args.train, args.val, args.epochs)
    print(f'\n{as_table(results)}\n')
    minutes = (time.monotonic() - begin) / 60
    print(f'{minutes:.1f} minutes; {args.work_dir}/demo.jpg shows what both say')


if __name__ == '__main__':
    sys.exit(run_command('demo', main, 'run it again and it goes on'))
