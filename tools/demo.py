"""Train a plain small Faster R-CNN and one with Gather-Excite on drawn data, and compare them.

    make demo

Everything is left in work_dirs/demo: checkpoints, curves.png, detections.png, table.txt. Run again
it goes on where it was interrupted and repeats nothing that is done.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = {
    'plain': 'faster-rcnn_r50-narrow_fpn_context-shapes.py',
    'GE theta E8': 'faster-rcnn_r50-narrow-ge-theta-e8_fpn_context-shapes.py',
}


def main() -> int:
    """Run the demo; returns the exit code."""
    # MMEngine's own use of it, on every config; setuptools is pinned where it still works.
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')
    from lab.evidence.demo import format_table, run_demo
    from lab.evidence.experiment import ExperimentError

    os.chdir(ROOT)  # The configs name the data from here.
    work_dir = Path('work_dirs/demo')
    configs = {label: Path('configs/demo') / name for label, name in CONFIGS.items()}
    try:
        results = run_demo(configs, work_dir)
    except (ExperimentError, ValueError, OSError) as error:
        print(f'demo: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('\ndemo: interrupted; run it again and it goes on', file=sys.stderr)
        return 130
    print(f'\nCOCO metrics in percent on drawn pictures, one seed:\n\n{format_table(results)}\n')
    print('One short run shows that everything works; it is no evidence of a gain.')
    print(f'{ROOT / work_dir}: curves.png, detections.png, table.txt, a checkpoint in each folder')
    return 0


if __name__ == '__main__':
    sys.exit(main())
