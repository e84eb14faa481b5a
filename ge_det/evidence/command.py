"""The command line of ``tools/reproduce.py``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mmengine.logging import MMLogger

from .executors import LocalExecutor, run_cells
from .launch import Launch
from .matrix.data import draw_data
from .matrix.matrix import Matrix
from .matrix.workplace import STATES, Workplace

def main() -> int:
    p=argparse.ArgumentParser()
    p.add_argument('verb'); p.add_argument('matrix',type=Path); p.add_argument('--jobs',type=int,default=os.cpu_count()); p.add_argument('--threads',type=int,default=1)
    a=p.parse_args()
    m=Matrix.read(a.matrix)
    place=Workplace(m, Path('work_dirs/evidence')/m.name)
    if a.verb=='run':
        draw_data(place)
        print(run_cells(place, LocalExecutor(a.jobs,a.threads)))
    else:
        for c in place.cells: print(place.state(c), c.name)
    return 0
