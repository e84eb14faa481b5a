"""Draw a ContextShapes set to disk: `ge-det make-context-shapes`."""

import sys

from ge_det.cli.main import run

if __name__ == '__main__':
    sys.exit(run('make-context-shapes'))
