"""Small networks of other libraries' residual units."""

from __future__ import annotations

import copy
from typing import Any

import torch
from random_networks import randomise
from torch import Tensor, nn

from ge_det import add_attention, remove_attention

WIDTHS = (16, 32, 64, 128)


class SmallResNet(nn.Module):
    """A stem and four stages of one or two of a library's own units, narrow, with a head."""

    def __init__(self, unit: Any, depths: tuple[int, ...] = (2, 1, 1, 1), **kwargs: Any) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        channels = WIDTHS[0]
        for stage, (width, depth) in enumerate(zip(WIDTHS, depths, strict=True), 1):
            units = []
            for number in range(depth):
                stride = 2 if stage > 1 and number == 0 else 1
                out = width * unit.expansion
                shortcut = None
                if stride > 1 or channels != out:
                    shortcut = nn.Sequential(
                        nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
                    )
                units.append(unit(channels, width, stride, downsample=shortcut, **kwargs))
                channels = out
            setattr(self, f'layer{stage}', nn.Sequential(*units))
        self.fc = nn.Linear(channels, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        y: Tensor = self.fc(x.mean((2, 3)))
        return y


def small_resnet(unit: str = 'BasicBlock', **kwargs: Any) -> SmallResNet:
    """Of torchvision's units, with random weights and fitting statistics."""
    from torchvision.models import resnet

    torch.manual_seed(0)
    network: SmallResNet = randomise(SmallResNet(getattr(resnet, unit), **kwargs))
    return network


def relative(y: Tensor, expected: Tensor) -> float:
    """||y - expected|| / ||expected||."""
    return float(((y - expected).norm() / expected.norm()).detach())


def tensors(output: Any) -> list[Tensor]:
    """All of an output, whatever holds them."""
    if isinstance(output, Tensor):
        return [output.float()]
    if isinstance(output, dict):
        output = list(output.values())
    return (
        [t for part in output for t in tensors(part)] if isinstance(output, (list, tuple)) else []
    )


def check_preserved(model: Any, x: Any, name: str = 'sge', **kwargs: Any) -> Any:
    """Add gates, compare outputs in both modes, and see that every gate learns."""
    plain = copy.deepcopy(model)
    report = add_attention(model, name, **kwargs)
    assert report.deviation is not None and report.deviation <= 1e-5
    for training in (False, True):
        outputs = []
        for network in (copy.deepcopy(model), copy.deepcopy(plain)):
            network.train(training)
            torch.manual_seed(1)
            with torch.no_grad():
                outputs.append(tensors(network(x)))
        pairs = list(zip(*outputs, strict=True))
        assert pairs and all(a.shape == b.shape for a, b in pairs)
        assert max(relative(a, b) for a, b in pairs if b.numel() and b.any()) <= 1e-5
    learning = copy.deepcopy(model)
    learning.train()  # Returns None in OpenMMLab's networks.
    sum(t.square().sum() for t in tensors(learning(x)) if t.requires_grad).backward()
    for gate in report.gates:
        gradients = [p.grad for p in learning.get_submodule(gate.gate).parameters()]
        assert any(gradient is not None and gradient.any() for gradient in gradients), gate
    taken = copy.deepcopy(model)
    remove_attention(taken)
    state, expected = taken.state_dict(), plain.state_dict()
    assert all(torch.equal(state[key], expected[key]) for key in expected)
    return report
