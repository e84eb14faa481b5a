"""How many cores there are, also where the system does not tell which are ours."""

import os

from lab.cores import cores, pin


def test_cores(monkeypatch):
    assert set(cores()) == os.sched_getaffinity(0)
    for name in ('sched_getaffinity', 'sched_setaffinity'):
        monkeypatch.delattr(os, name)
    assert cores() == list(range(os.cpu_count()))
    pin(os.getpid(), [0])
