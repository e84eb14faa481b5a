"""Weights of a plain network, and the file that holds them."""

import pytest
import torch
from narrow_networks import narrow
from random_networks import randomise

from ge_det import AttentionResNet


@pytest.fixture
def plain(tmp_path):
    network = randomise(narrow())
    torch.save(network.state_dict(), tmp_path / 'plain.pth')
    return network


@pytest.fixture
def file(plain, tmp_path):
    return str(tmp_path / 'plain.pth')


@pytest.fixture(scope='module')
def trunk_file(tmp_path_factory):
    """Of a plain ResNet-18 of an eighth of the width."""
    path = tmp_path_factory.mktemp('trunk') / 'trunk.pth'
    torch.save(randomise(AttentionResNet(18, base_channels=8)).state_dict(), path)
    return str(path)
