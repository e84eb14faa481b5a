"""Measure a trained detector: `ge-det test`, with mmdet's own flags."""

import sys

from ge_det.cli.main import run

if __name__ == '__main__':
    sys.exit(run('test'))
