"""Networks with weights and batch statistics that are random but keep activations in range."""

import torch
from torch import nn


@torch.no_grad()
def randomise(network, seed=0):
    """Random affine parameters, and statistics near those of random images, perturbed."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor, low, high):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        uniform(norm.weight, 0.3, 0.9)
        uniform(norm.bias, -0.3, 0.3)
        norm.momentum = 1.0
    network.train()
    network(torch.randn(4, 3, 96, 96, generator=generator))
    for norm in norms:
        norm.momentum = 0.1
        norm.running_mean.add_(torch.randn(norm.running_mean.shape, generator=generator) / 20)
        norm.running_var.mul_(torch.rand(norm.running_var.shape, generator=generator) / 2 + 0.75)
    for parameter in network.parameters():
        if not parameter.any():  # Of gates that start as constants, and of classifiers.
            uniform(parameter, -0.5, 0.5)
    network.eval()
    return network


def images(size, seed=1):
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(seed))
