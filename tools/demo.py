"""Show what a gate is for: attach SE to a small trained detector and train it on, on drawn data.

    make demo

Everything is left in work_dirs/demo, the picture in work_dirs/demo/demo.jpg. Run again it goes on
where it was interrupted and repeats nothing that is done.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs/demo')
    parser.add_argument('--train', type=int, default=1000, help='training pictures (1000)')
    parser.add_argument('--val', type=int, default=150, help='validation pictures (150)')
    parser.add_argument('--epochs', type=int, help='epochs of training (as the config says)')
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))  # The lab is not installed.
    # MMEngine's own use of it, on every config; setuptools is pinned where it still works.
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')
    begin = time.monotonic()
    try:
        from lab.demo.run import run_demo

        results = run_demo(args.work_dir.resolve(), args.train, args.val, args.epochs)
    except (ValueError, OSError, RuntimeError) as error:
        print(f'demo: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\ndemo: interrupted; run it again and it goes on', file=sys.stderr)
        return 130
    rows = [['box AP in percent', *next(iter(results.values()))]]
    rows += [[name, *(f'{100 * value:.1f}' for value in ap.values())] for name, ap in results.items()]
    print()
    for row in rows:
        print(f'{row[0]:<20}' + ''.join(f'{cell:>18}' for cell in row[1:]))
    minutes = (time.monotonic() - begin) / 60
    print(f'\n{minutes:.1f} minutes; {args.work_dir}/demo.jpg shows what each of them says')
    return 0


if __name__ == '__main__':
    sys.exit(main())
