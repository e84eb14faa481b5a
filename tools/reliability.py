"""Try bad input and bad luck: the command line of lab.reliability."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that `lab` imports from anywhere

from lab.reliability.command import main

if __name__ == '__main__':
    sys.exit(main())
