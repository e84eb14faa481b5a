"""Check a data set in COCO format, write a config for it: `ge-det make-config`."""

import sys

from ge_det.cli.main import run

if __name__ == '__main__':
    sys.exit(run('make-config'))
