"""Shared fixtures. This folder is on the import path, so tests can import ``block_cases``."""

import pytest
import torch


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)
