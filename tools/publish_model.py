"""Write the weights of a training checkpoint into a small file: `ge-det publish`."""

import sys

from ge_det.cli.main import run

if __name__ == '__main__':
    sys.exit(run('publish'))
