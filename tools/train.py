"""Train a detector: mmdet's own tools/train.py with its flags, after a check of the arguments."""

from ge_det.cli.openmmlab import run_tool

if __name__ == '__main__':
    run_tool('train')
