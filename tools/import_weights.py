"""Import pretrained weights into a network with attention: `ge-det import-weights`."""

import sys

from ge_det.cli.main import run

if __name__ == '__main__':
    sys.exit(run('import-weights'))
