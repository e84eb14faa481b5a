"""Weights of a plain network, and the file that holds them."""

import pytest
import torch
from narrow_networks import narrow
from random_networks import randomise


@pytest.fixture
def plain(tmp_path):
    network = randomise(narrow())
    torch.save(network.state_dict(), tmp_path / 'plain.pth')
    return network


@pytest.fixture
def file(plain, tmp_path):
    return str(tmp_path / 'plain.pth')
