"""Every block in every variant, small enough for the literal references."""

import functools

import torch

import ge_det

CHANNELS = 8

BLOCKS = {
    'se': functools.partial(ge_det.SqueezeExcite, ratio=4),
    'se-no-bias': functools.partial(ge_det.SqueezeExcite, ratio=4, bias=False),
    'sge': functools.partial(ge_det.SpatialGroupEnhance, groups=4),
    'sge-one-channel-groups': functools.partial(ge_det.SpatialGroupEnhance, groups=8),
    'sp-se': functools.partial(ge_det.SpatialPyramidSE, ratio=4),
    **{
        f'rg-se-{grid}': functools.partial(ge_det.ResolutionGuidedSE, grid=grid, ratio=4)
        for grid in (8, 4, 2, 1)
    },
    **{
        f'ge-{variant}-{extent}': functools.partial(
            ge_det.GatherExcite, variant=variant, extent=extent, ratio=4, grid=(5, 4)
        )
        for variant in ('theta_minus', 'theta', 'theta_plus')
        for extent in ('global', 2, 4, 8)
    },
}


def random_block(name, dtype=torch.float64):
    """A block whose every parameter and statistic is random, so that no term drops out."""
    block = BLOCKS[name](CHANNELS).to(dtype)
    for tensor in (*block.parameters(), *block.buffers()):
        if tensor.is_floating_point():
            torch.nn.init.normal_(tensor)
    for key, tensor in block.named_buffers():
        if key.endswith('running_var'):
            torch.nn.init.uniform_(tensor, 0.5, 2)
    return block
