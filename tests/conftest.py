"""Shared fixtures. This folder is on the import path, so tests can import ``block_cases``."""

import os
import signal
from importlib.util import find_spec

import pytest

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HAS_TORCH, HAS_MMENGINE = find_spec('torch') is not None, find_spec('mmengine') is not None

if HAS_TORCH:
    from triton_interpreter import import_triton

    import_triton()  # before any test module imports triton, with which it would be the compiler


@pytest.fixture(autouse=True)
def seed():
    if HAS_TORCH:
        import torch

        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def environment_as_before():
    """A command run inside the test's process sets variables (`load_safely` does): none stays."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True)
def signals_as_before():
    """A command that is interrupted ignores signals to its end, and so would what a test starts."""
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_runner_of_another_test(monkeypatch):
    """Every test starts without a default scope and a logger: a runner leaves its own behind."""
    if not HAS_MMENGINE:  # as in `make pythons`
        return
    from mmengine.logging import MMLogger
    from mmengine.registry import DefaultScope

    for kind in (DefaultScope, MMLogger):
        monkeypatch.setattr(kind, '_instance_dict', type(kind._instance_dict)())


@pytest.fixture(scope='session')
def peers():
    """torchvision and timm, which the real models of mmpretrain and timm need; skips without."""
    from ge_det.compat.peers import use_peers

    try:
        use_peers()
    except ImportError as error:
        pytest.skip(str(error))
