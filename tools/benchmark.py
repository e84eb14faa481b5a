"""Measure what the attention blocks cost: the command line of lab.speed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that `lab` imports from anywhere

from lab.speed.command import benchmark, main, parse_args

__all__ = ['benchmark', 'main', 'parse_args']

if __name__ == '__main__':
    sys.exit(main())
