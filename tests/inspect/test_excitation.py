"""Excitation curves against means worked out by hand."""

import pytest
import torch
from block_cases import CHANNELS, random_block
from torch import nn

from ge_det.inspect.excitation import Excitation, draw_excitation
from ge_det.inspect.recording import record_gates


def gate(*channels):
    return torch.tensor(channels, dtype=torch.float64).view(1, -1, 1, 1)


def told(excitation, pictures, name='layer1.0.se_layer'):
    for labels, coarse in pictures:
        excitation.expect([labels])
        excitation.watch(name, None, coarse)
    return name


def test_means_by_hand():
    excitation = Excitation(['cat', 'dog', 'bird'])
    name = told(
        excitation,
        [
            ([0], gate(0.2, 0.4)),
            ([0, 1, 1], gate(0.4, 0.8)),  # A class counts once a picture.
            ([1], gate(0.6, 0.9)),
            ([], gate(1, 1)),
        ],
    )
    means = excitation.of_classes(name)
    torch.testing.assert_close(means[0], torch.tensor([0.3, 0.6], dtype=torch.float64))
    torch.testing.assert_close(means[1], torch.tensor([0.5, 0.85], dtype=torch.float64))
    assert means[2].isnan().all() and excitation.counts.tolist() == [2, 2, 0]
    assert excitation.mean(name).tolist() == pytest.approx([0.55, 0.775])
    assert excitation.deviation(name)[0] ** 2 == pytest.approx(0.0875)


def test_a_gate_by_class_alone_and_one_by_picture_alone():
    by_class, by_picture = Excitation(['a', 'b']), Excitation(['a', 'b'])
    name = told(by_class, [([0], gate(0.1)), ([1], gate(0.9)), ([0], gate(0.1))])
    assert by_class.class_share(name) == pytest.approx(1)
    told(by_picture, [([k], gate(v)) for k in (0, 1) for v in (0.1, 0.9)], name)
    assert by_picture.class_share(name) == pytest.approx(0)
    still = Excitation(['a', 'b'])
    assert still.class_share(told(still, [([0], gate(0.5)), ([1], gate(0.5))])) == 0


@torch.no_grad()
def test_recorded_curves_are_the_block_s_gates():
    block, x = random_block('se').eval(), torch.randn(3, CHANNELS, 6, 6, dtype=torch.float64)
    network = nn.Sequential(block)
    excitation = Excitation(['a', 'b'])
    with record_gates(network, excitation.watch):
        for image, label in zip(x, (0, 1, 0), strict=True):
            excitation.expect([[label]])
            network(image[None])
    expected = block.gate(x).flatten(1)
    torch.testing.assert_close(
        excitation.of_classes('0'), torch.stack([expected[[0, 2]].mean(0), expected[1]]),
        rtol=1e-5, atol=1e-6,
    )  # fmt: skip
    with (
        record_gates(network, excitation.watch),
        pytest.raises(ValueError, match='told of 1, and the network ran 2 pictures'),
    ):
        network(x[:2])


def test_figures():
    excitation = Excitation([f'class {number}' for number in range(9)])
    for name, shape in (('layer1.0.se_layer', 8), ('layer4.1.se_layer', 200)):
        told(excitation, [([k % 7], torch.rand(1, shape, 1, 1)) for k in range(14)], name)
    excitation.pictures = 14
    excitation.counts //= 2
    curves, shares = draw_excitation(excitation, most=3)
    drawn = curves.numbers['layer4.1.se_layer']
    assert len(drawn['channels']) == 50 and drawn['channels'][-1] == 199
    assert set(drawn) == {'channels', 'all pictures', 'class 0', 'class 1', 'class 2'}
    assert set(shares.numbers) == {'layer1.0.se_layer', 'layer4.1.se_layer'}
    assert all(0 <= share <= 1 for share in shares.numbers.values())
    assert draw_excitation(Excitation(['a'])) == []


@pytest.mark.parametrize('each', [1, 2])
def test_few_pictures_tell_meaningless_classes_apart(each):
    """Of random gates, one class and two classes a picture."""
    excitation, generator = Excitation([*'abcdefgh']), torch.Generator().manual_seed(0)
    name = told(
        excitation,
        [
            (
                torch.randperm(8, generator=generator)[:each].tolist(),
                torch.rand(1, 2000, 1, 1, generator=generator),
            )
            for _ in range(30)
        ],
    )
    if each == 1:
        assert excitation.chance_share() == pytest.approx(7 / 29)
    assert excitation.class_share(name) == pytest.approx(excitation.chance_share(), abs=0.02)
    assert f'Dotted, {excitation.chance_share():.2f}' in draw_excitation(excitation)[-1].caption
