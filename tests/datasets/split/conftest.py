"""No photos yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from split_photos import Photos


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    return Photos(tmp_path)
