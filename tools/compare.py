"""Compare attention blocks on your own data: `ge-det compare`."""

import sys

from ge_det.cli.main import run

if __name__ == '__main__':
    sys.exit(run('compare'))
