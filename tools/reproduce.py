"""Run a matrix of experiments: detectors x attention x depths x data x schedules x starts x seeds.

    python tools/reproduce.py plan   lab/configs/context-shapes.yaml
    python tools/reproduce.py run    lab/configs/context-shapes.yaml
    python tools/reproduce.py status lab/configs/context-shapes.yaml
    python tools/reproduce.py report lab/configs/context-shapes.yaml

Every cell is an ordinary config and work dir. A cell that is done is not run again; interrupted,
`run` goes on from the last checkpoints.
"""

from __future__ import annotations

import sys
import warnings

if __name__ == '__main__':
    # MMEngine's own use of it, on every config; setuptools is pinned where it still works.
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')
    from lab.evidence.command import main

    sys.exit(main(__doc__))
