"""Write the report of a training: `ge-det report`."""

import sys

from ge_det.cli.main import run

if __name__ == '__main__':
    sys.exit(run('report'))
