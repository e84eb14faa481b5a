"""Our count beside the published one, for the same networks.

No source says what it counts. So for each of them the convention is taken that gives most of its
figures back to the printed digits, and where another one is needed, or none helps, the comparison
says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor, nn

from ge_det.backbones import AttentionResNet
from ge_det.catalogue import attention_config
from ge_det.flops.count import CONVENTIONS, NetworkCost, count_cost

from .published import PUBLISHED, CostSource, PublishedCost

CLASSES = 1000
"""Of ImageNet."""

Counts = Callable[[NetworkCost], dict[str, int]]
"""A figure of a network by each convention."""


class PooledResNet(nn.Module):
    """A backbone, global average pooling and, where the source counts it, ImageNet's classifier."""

    def __init__(self, backbone: AttentionResNet, has_classifier: bool) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(backbone.feat_dim, CLASSES) if has_classifier else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) to scores (N, 1000), or to features (N, C) without a classifier."""
        return self.fc(self.pool(self.backbone(image)[-1]).flatten(1))


@dataclass(frozen=True)
class Agreement:
    """Whether a printed figure comes out."""

    printed: str  # In units:
    unit: float  # 1e6 or 1e9.
    counted: Mapping[str, int]  # Our figure by each convention.
    convention: str  # The one that fits the source best.

    @property
    def exact(self) -> int:
        """Our figure."""
        return self.counted[self.convention]

    @property
    def is_equal(self) -> bool:
        """To the printed digits."""
        return equal_digits(self.printed, self.exact, self.unit)

    def __str__(self) -> str:
        if self.is_equal:
            return 'equal'
        ours = _as_printed(self.printed, self.exact, self.unit)
        others = [c for c, n in self.counted.items() if equal_digits(self.printed, n, self.unit)]
        # Rather the same convention with the gates in full than quite another one.
        others.sort(key=lambda convention: not convention.startswith(self.convention))
        return f'no, {ours}' + (f'; equal by: {others[0]}' if others else '')


@dataclass(frozen=True)
class CostComparison:
    """One published line beside ours; None where the source gives no figure."""

    published: PublishedCost
    parameters: Agreement | None
    flops: Agreement | None


def compare(lines: Iterable[PublishedCost] = PUBLISHED) -> list[CostComparison]:
    """Count the networks of published lines, among which the conventions of sources are chosen.

    All that there are take a minute or two on one core.
    """
    lines = tuple(lines)
    costs = {line: count_line(line) for line in lines}

    def agreement(line: PublishedCost, figure: str, unit: float, count: Counts) -> Agreement | None:
        printed = getattr(line, figure)
        alike = [(getattr(o, figure), count(costs[o])) for o in lines if o.source == line.source]
        counted = count(costs[line])

        def number_equal(convention: str) -> int:
            return sum(equal_digits(f, ours[convention], unit) for f, ours in alike if f)

        # The first of the best: conventions are listed from the simplest on.
        best = max(counted, key=number_equal)
        return Agreement(printed, unit, counted, best) if printed else None

    return [
        CostComparison(
            line,
            agreement(line, 'parameters', 1e6, _parameters),
            agreement(line, 'gflops', 1e9, _flops),
        )
        for line in lines
    ]


def equal_digits(printed: str, count: int, unit: float) -> bool:
    """Whether a count, in millions or billions, is a published figure to its printed digits."""
    return _as_printed(printed, count, unit) == printed


def _as_printed(printed: str, count: int, unit: float) -> str:
    return f'{count / unit:.{len(printed.partition(".")[2])}f}'


def _parameters(cost: NetworkCost) -> dict[str, int]:
    network, gates = cost.parameters[''], cost.gate_parameters()
    with_all = network.total + network.statistics
    return {
        'learned': network.total,
        'with running statistics': with_all,
        "with the trunk's running statistics": with_all - gates.statistics,
    }


def _flops(cost: NetworkCost) -> dict[str, int]:
    alike = {name: cost.flops(trunk=name, gates=name) for name in CONVENTIONS}
    gates_in_full = {
        f'{name}, gates in full': cost.flops(trunk=name) for name in CONVENTIONS if name != 'all'
    }
    return alike | gates_in_full


def count_line(line: PublishedCost) -> NetworkCost:
    """Count the network of a published line, at its source's image size."""
    return _count(line.depth, line.attention, line.stage, replace(line.source, title=''))


@cache
def _count(depth: int, attention: str, stage: int, like: CostSource) -> NetworkCost:
    with torch.device('meta'):  # Random weights take longer than the count.
        backbone = AttentionResNet(
            depth,
            attention=attention_config(attention),
            attention_stages=tuple(stage in (0, number) for number in (2, 3, 4, 5)),
            style=like.style,
            stem_pool='ceil' if like.style == 'caffe' else 'padded',
        )
        network = PooledResNet(backbone, like.has_classifier)
    network.to_empty(device='cpu')
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.detach().zero_()  # Whatever the memory held may be slow to compute with.
    return count_cost(network, torch.zeros(1, 3, *like.size))
