"""Test a detector: mmdet's own tools/test.py with its flags, after a check of the arguments."""

import ge_det  # noqa: F401  Makes MMEngine's checkpoints loadable the safe way.
from ge_det.mmdet_tools import run_tool

if __name__ == '__main__':
    run_tool('test')
