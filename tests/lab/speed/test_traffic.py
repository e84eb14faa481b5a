"""Bytes that operators move, counted by hand."""

import torch
from torch import nn

from ge_det.ops import gated_residual
from lab.speed.traffic import largest_operator_bytes, moved_bytes


def test_inputs_and_outputs_count_once_and_views_do_not() -> None:
    x, row = torch.randn(5, 6), torch.randn(6)
    assert moved_bytes(lambda: x.t()[1:].view(5, 5)) == 0
    assert moved_bytes(lambda: torch.empty(5, 6)) == 0
    assert moved_bytes(lambda: x + row) == 4 * (30 + 6 + 30)
    assert moved_bytes(lambda: x + row.expand(5, 6)) == 4 * (30 + 6 + 30)  # Read once.
    assert moved_bytes(lambda: x.clone().mul_(2)) == 4 * 4 * 30
    assert largest_operator_bytes(lambda: (x.clone() + row).relu()) == 4 * (30 + 6 + 30)


def test_the_backward_pass_counts() -> None:
    relu, x, up = nn.ReLU(), torch.randn(5, 6, requires_grad=True), torch.randn(5, 6)

    def step() -> None:
        x.grad = None
        relu(x).backward(up)

    forward, backward = 2, 3  # The gradient is made of that of the output and the output.
    assert moved_bytes(step) == 4 * 30 * (forward + backward)


def test_what_is_fused_counts_for_its_inputs_and_outputs() -> None:
    y, identity, gate = torch.randn(2, 8, 6, 5), torch.randn(2, 8, 6, 5), torch.rand(2, 8, 1, 1)
    assert moved_bytes(lambda: gated_residual(y, identity, gate)) == 4 * (3 * 480 + 16)
