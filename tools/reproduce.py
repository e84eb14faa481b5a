"""Run a matrix of experiments: detectors x attention x depths x data x schedules x starts x seeds.

    python tools/reproduce.py plan   lab/configs/context-shapes.yaml
    python tools/reproduce.py run    lab/configs/context-shapes.yaml
    python tools/reproduce.py status lab/configs/context-shapes.yaml
    python tools/reproduce.py report lab/configs/context-shapes.yaml

Every cell is an ordinary config and work dir. A cell that is done is not run again; interrupted,
`run` goes on from the last checkpoints.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that `lab` imports from anywhere

from lab.evidence.arguments import parser

if __name__ == '__main__':
    args = parser(__doc__ or '').parse_args()

    from lab.evidence.command import main

    sys.exit(main(args))
