"""``python -m ge_det COMMAND``, the same as ``ge-det COMMAND``."""

import sys

from ge_det.cli.main import main

sys.exit(main())
