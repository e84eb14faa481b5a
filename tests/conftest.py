"""Shared fixtures. This folder is on the import path, so tests can import ``block_cases``."""

import gc
import os
import random
import signal
from collections import OrderedDict
from contextlib import contextmanager
from functools import wraps
from importlib.util import find_spec

import pytest

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HAS_NUMPY, HAS_TORCH, HAS_MMENGINE = (
    find_spec(name) is not None for name in ('numpy', 'torch', 'mmengine')
)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # As of what a shell starts with `&`.
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Else what a test starts has it so.

if find_spec('setuptools') is not None:
    import setuptools  # noqa: F401  # It fails once something has imported Python's distutils.

if HAS_TORCH:
    from triton_interpreter import import_triton

    import_triton()  # before any test module imports triton, with which it would be the compiler


def remembered(function):
    """A function that computes what it is asked for only once."""
    known = {}

    @wraps(function)
    def ask(*arguments, **options):
        key = repr((arguments, options))
        if key not in known:
            known[key] = function(*arguments, **options)
        return known[key]

    return ask


@pytest.fixture(autouse=True, scope='session')
def texts_once():
    """MMEngine formats the config for each checkpoint, and reads mmdet's index for each base."""
    with pytest.MonkeyPatch.context() as patch:
        if HAS_MMENGINE:
            from mmengine.config import config, utils

            for module, name in ((config, 'FormatCode'), (utils, 'load')):
                patch.setattr(module, name, remembered(getattr(module, name)))
        yield


@pytest.fixture(autouse=True, scope='module')
def little_to_collect():
    """MMEngine collects garbage for each dataset: what is there already is not looked at again."""
    gc.collect()
    gc.freeze()


def seed_all():
    random.seed(0)
    if HAS_NUMPY:
        import numpy as np

        np.random.seed(0)  # MMEngine draws the seed of a training that has none.
    if HAS_TORCH:
        import torch

        torch.manual_seed(0)


def pytest_fixture_setup(fixturedef):
    """What tests share does not depend on those that ran before."""
    if fixturedef.scope != 'function':
        seed_all()


@pytest.fixture(autouse=True)
def seed():
    seed_all()


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
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    """The demo's detectors; their configs name the weights from the checkout."""
    from demo_detectors import Demo, detectors

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(detectors.ROOT)
        yield Demo(tmp_path_factory.mktemp('demo') / 'data')


def subclasses(kind):
    for one in kind.__subclasses__():
        yield one
        yield from subclasses(one)


@contextmanager
def no_runner():
    """No logger, visualizer and so on of another: a runner leaves its own behind for the next."""
    if not HAS_MMENGINE:  # It is not there in `make pythons`.
        yield
        return
    from mmengine.utils import ManagerMixin

    with pytest.MonkeyPatch.context() as patch:
        known = set(subclasses(ManagerMixin))
        for kind in known:
            patch.setattr(kind, '_instance_dict', OrderedDict())
        yield
        for kind in subclasses(ManagerMixin):  # Imported meanwhile.
            if kind not in known:
                kind._instance_dict.clear()


@pytest.fixture(autouse=True, scope='module')
def no_runner_of_another_module():
    """Of this scope too, for fixtures of it that train."""
    with no_runner():
        yield


@pytest.fixture(autouse=True)
def no_runner_of_another_test():
    with no_runner():
        yield


@pytest.fixture(scope='session')
def peers():
    """torchvision and timm, which the real models of mmpretrain and timm need; skips without."""
    from ge_det.compat.peers import use_peers

    try:
        use_peers()
    except ImportError as error:
        pytest.skip(str(error))
