"""Train a classifier: `ge-det train-classifier`, with mmpretrain's own flags."""

import sys

from ge_det.cli.main import run

if __name__ == '__main__':
    sys.exit(run('train-classifier'))
