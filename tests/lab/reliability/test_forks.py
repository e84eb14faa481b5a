"""What is done once for all tries changes nothing of what a try does."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

from mmengine.config import Config

from ge_det import __version__
from lab.reliability.forks import quick_forks
from lab.reliability.trial import attempt

CONFIGS = [Config(dict(model=dict(type=name, scales=list(range(40))))) for name in ('a', 'b')]


def test_tries_write_what_they_would_without(tmp_path: Path) -> None:
    expected = [config.pretty_text for config in CONFIGS]

    def show() -> None:
        for _ in range(2):
            assert [config.pretty_text for config in CONFIGS] == expected
        command = [sys.executable, '-m', 'ge_det', '--version']
        print(subprocess.run(command, capture_output=True, text=True).stdout, end='')

    popen, frozen = subprocess.Popen, gc.get_freeze_count()
    with quick_forks():
        trial = attempt(show, tmp_path)
    assert trial.outcome == 'accepted', trial.err
    assert trial.out == f'{__version__}\n'
    # Python 3.12 starts with some objects frozen, which unfreezing releases as well.
    assert subprocess.Popen is popen and gc.get_freeze_count() <= frozen
