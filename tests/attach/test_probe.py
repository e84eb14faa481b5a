"""Which part of a model is run to measure what gates change."""

from __future__ import annotations

import copy
from typing import Any

import torch
from attach_networks import small_resnet
from torch import Tensor, nn

from ge_det.attach.probe import Probe
from ge_det.attach.recognise import find_units


class Detector(nn.Module):
    """A model that takes no images alone."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict(dict(body=body))

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        y: Tensor = self.backbone['body'](batch['images'])
        return y


def count_calls(module: nn.Module) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []
    module.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    return shapes


def test_images_go_through_the_backbone_of_a_larger_model(peers: None) -> None:
    model = Detector(small_resnet(depths=(1, 1, 1, 1)))
    shapes = count_calls(model.backbone['body'])
    probe = Probe(model, find_units(model))
    assert shapes == [(2, 3, 64, 64), (2, 3, 96, 128)]
    assert probe.errors() == [0, 0, 0, 0]


def test_features_go_through_the_units_where_a_network_takes_more(peers: None) -> None:
    network: Any = small_resnet()
    network.forward = lambda x, y: network.layer4(x)
    shapes = count_calls(network.layer1[0])
    probe = Probe(network, find_units(network))
    assert shapes == [(2, 16, 16, 16), (2, 16, 24, 32)]
    assert probe.errors() == [0] * 5
    with torch.no_grad():
        network.layer2[0].bn2.weight.mul_(1.1)
    errors = probe.errors()
    assert errors[:2] == [0, 0] and all(error and error > 1e-3 for error in errors[2:])


def test_units_that_do_not_follow_one_another_start_anew(peers: None) -> None:
    from torchvision.models.resnet import BasicBlock

    model = nn.ModuleList([BasicBlock(8, 8), BasicBlock(4, 4)])
    assert Probe(model, find_units(model)).errors() == [0, 0]


def test_it_measures_what_changed_and_leaves_the_network_alone(peers: None) -> None:
    network: Any = small_resnet().train()
    probe = Probe(network, find_units(network))
    before = copy.deepcopy(network.state_dict())
    assert probe.errors() == [0] * 5
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(module.training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())
    with torch.no_grad():
        network.layer4[0].bn2.bias.add_(1)
    errors = probe.errors()
    assert errors[:4] == [0] * 4 and errors[4] and errors[4] > 0.1
