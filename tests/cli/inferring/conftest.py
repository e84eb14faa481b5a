"""A detector, and a folder for photos."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work dir."""
    pytest.importorskip('mmdet')
    from tiny_detector import narrow_detector

    return narrow_detector(tmp_path_factory.mktemp('detector'))


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    (tmp_path / 'ph').mkdir()
    return tmp_path / 'ph'
