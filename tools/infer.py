"""Draw the detections of a trained detector into images: `ge-det infer`."""

import sys

from ge_det.cli.main import run

if __name__ == '__main__':
    sys.exit(run('infer'))
