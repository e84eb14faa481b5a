"""Maps are the block's gate, at the place of the picture that it gates."""

import io

import numpy as np
import pytest
import torch
from block_cases import BLOCKS, CHANNELS, random_block
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from ge_det.inspect.maps import GateMaps, draw_maps, gate_map, over_picture
from ge_det.inspect.recording import record_gates


def recorded(network, x, **options):
    maps = GateMaps(**options)
    with record_gates(network, maps.watch), torch.no_grad():
        network(x)
    return maps.maps


@pytest.mark.parametrize('name', ['sge', 'ge-theta_minus-2', 'ge-theta-4', 'ge-theta_plus-8'])
def test_maps_are_the_gate(name):
    """At the resolution of the features they are what ``gate`` gives."""
    block = random_block(name).eval()
    x = torch.randn(2, CHANNELS, 12, 20, dtype=torch.float64)
    (found,) = recorded(nn.Sequential(block), x, most=CHANNELS).values()
    assert len(found) == 2
    for one, gate in zip(found.values(), block.gate(x).detach().float(), strict=True):
        groups = block.coarse_gate(x).shape[1]
        of_groups = gate[:: CHANNELS // groups]  # Each channel of a group has the same.
        np.testing.assert_allclose(
            over_picture(one.mean, (12, 20), (1, 1)), of_groups.mean(0), atol=1e-6
        )
        for number, values in one.groups.items():
            np.testing.assert_allclose(
                over_picture(values, (12, 20), (1, 1)), of_groups[number], atol=1e-6
            )
        assert (one.lowest, one.highest) == (float(gate.min()), float(gate.max()))


def test_groups_that_differ_most_come_first():
    """By hand: group 2 is open elsewhere; how far groups 0, 1 and 3 are open does not count."""
    left = torch.tensor([[0.8, 0.2], [0.8, 0.2]])
    coarse = torch.stack([left, left + 0.1, 1 - left, left - 0.15])
    found = gate_map(coarse, most=1)
    assert list(found.groups) == [2]
    torch.testing.assert_close(found.mean, coarse.mean(0))
    assert list(gate_map(left[None]).groups) == []  # One group is the mean.


def test_channel_gates_have_no_map_and_few_pictures_are_kept():
    assert recorded(nn.Sequential(BLOCKS['se'](CHANNELS)), torch.randn(2, CHANNELS, 5, 5)) == {}
    sge = nn.Sequential(BLOCKS['sge'](CHANNELS))
    (found,) = recorded(sge, torch.randn(6, CHANNELS, 90, 200), pictures=3).values()
    assert len(found) == 3 and found[0].mean.shape == (64, 64)


def test_a_picture_without_a_map_leaves_the_next_its_own():
    gate = nn.Sequential(BLOCKS['ge-theta_minus-8'](CHANNELS))
    maps = GateMaps()
    with record_gates(gate, maps.watch):
        for side in (5, 20):
            gate(torch.randn(1, CHANNELS, side, side))
    (found,) = maps.maps.values()
    assert list(found) == [1] and found[1].mean.shape == (3, 3)
    assert draw_maps(maps.maps, 0, np.zeros((5, 5, 3), np.uint8), 'small.png') == []
    assert draw_maps(maps.maps, 1, np.zeros((20, 20, 3), np.uint8), 'large.png')


def test_a_picture_like_a_thread_has_a_figure():
    maps = GateMaps()
    maps.watch('layer1.0.sge', torch.rand(1, 8, 60, 1), torch.rand(1, 4, 60, 1))
    figures = draw_maps(maps.maps, 0, np.zeros((480, 1, 3), np.uint8), 'a.png')
    assert len(figures) == 2 and Image.open(io.BytesIO(figures[0].png)).height < 2**14


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(3, 40), st.integers(3, 40), st.data())
def test_a_pixel_has_the_value_of_the_cell_it_lies_in(h, w, height, width, data):
    padded = data.draw(st.integers(height, 60)), data.draw(st.integers(width, 60))
    values = torch.arange(float(h * w)).view(h, w)
    shown = over_picture(values, (height, width), (height / padded[0], width / padded[1]))
    assert shown.shape == (height, width)
    for i, j in ((0, 0), (height - 1, width - 1)):
        assert shown[i, j] == values[i * h // padded[0], j * w // padded[1]]


def test_figures():
    block = random_block('sge', torch.float32)
    network = nn.Module()
    network.layer1 = nn.Sequential(nn.Sequential(), nn.Sequential())
    network.layer1[0].sge, network.layer1[1].sge = block, random_block('ge-theta_minus-2')
    maps = GateMaps()
    for name in ('layer1.0.sge', 'layer1.1.sge'):
        maps.watch(name, torch.rand(1, 8, 6, 6), torch.rand(1, 4, 6, 6))
    image = np.zeros((30, 40, 3), np.uint8)
    means, groups = draw_maps(maps.maps, 0, image, 'a.png')
    assert Image.open(io.BytesIO(means.png)).format == 'PNG'
    assert set(means.numbers) == {'layer1.0.sge', 'layer1.1.sge'}
    assert list(groups.numbers) == ['layer1.1.sge'] and len(groups.numbers['layer1.1.sge']) == 3
    assert groups.title == 'Groups of a.png'
    assert draw_maps(maps.maps, 1, image, 'b.png') == []


def test_a_group_of_one_channel_is_called_so():
    maps = GateMaps()
    maps.watch('layer1.0.ge', torch.rand(1, 8, 6, 6), torch.rand(1, 8, 2, 2))
    means, channels = draw_maps(maps.maps, 0, np.zeros((30, 40, 3), np.uint8), 'a.png')
    assert 'over its channels' in means.caption and channels.title == 'Channels of a.png'
