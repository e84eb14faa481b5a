"""Ctrl-C while the process of the report is being started."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip('mmengine')

from ge_det.hooks import write_report


def test_no_process_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            started.append(self)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(write_report.subprocess, 'Popen', Interrupted)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt, match='`ge-det report my` writes the report'):
        write_report._run([sys.executable, '-c', 'import time; time.sleep(60)'], 'my')
    assert started[0].returncode == -signal.SIGKILL
