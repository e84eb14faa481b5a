"""Import a trained plain detector into the network of every block; test it, and fine-tune it.

    python tools/transfer.py

Trains the demo's plain detector first, unless `make demo` has. Everything is left in
work_dirs/transfer; the results go to docs/transfer.json, from which docs/pretrained.md has its
tables. Run again it goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLAIN = Path('configs/demo/faster-rcnn_r50-narrow_fpn_context-shapes.py')


def main() -> int:
    """Run the experiment; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[0], help='of the fine-tuning')
    parser.add_argument('--out', help='file for the results; default: docs/transfer.json')
    args = parser.parse_args()
    # MMEngine's own use of it, on every config; setuptools is pinned where it still works.
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')
    from mmengine.logging import MMLogger

    from lab.evidence.experiment import ExperimentError
    from lab.evidence.transfer import TransferRun, format_table, run_transfer, to_json

    MMLogger.get_instance('transfer', log_level='WARNING')
    out = Path(args.out).resolve() if args.out else ROOT / 'docs' / 'transfer.json'
    os.chdir(ROOT)  # The configs name the data from here.
    run = TransferRun(
        config=PLAIN,
        demo_dir=Path('work_dirs/demo'),
        work_dir=Path('work_dirs/transfer').resolve(),
        seeds=tuple(args.seeds),
    )
    try:
        results = run_transfer(run)
        saved = to_json(results, args.seeds)
        out.write_text(saved + '\n', encoding='utf-8')
    except (ExperimentError, ValueError, OSError) as error:
        print(f'transfer: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\ntransfer: interrupted; run it again and it goes on', file=sys.stderr)
        return 130
    print(f'AP in percent (also in {out}):\n\n{format_table(json.loads(saved))}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
