"""Blocks by their literal formulas, with the tensors of a real block."""

import ge_det
from ge_det.ops import naive
from ge_det.ops.gather_excite.naive import gather_excite
from ge_det.ops.spatial_group_enhance.naive import spatial_group_enhance
from ge_det.ops.squeeze_excite.naive import Excitation, squeeze_excite
from ge_det.ops.two_stage_pool.naive import resolution_guided, spatial_pyramid


def norm_tensors(norm):
    statistics = (norm.running_mean, norm.running_var, norm.eps, norm.training)
    return naive.Norm(norm.weight, norm.bias, *statistics)


def excitation(down, up):
    return Excitation(down.weight, down.bias, up.weight, up.bias)


def reference(block, x):
    """``x`` (N, C, H, W) gated by a block; running statistics stay as they are."""
    if isinstance(block, ge_det.SqueezeExcite):
        return squeeze_excite(x, excitation(block.conv1.conv, block.conv2.conv))
    if isinstance(block, ge_det.SpatialGroupEnhance):
        return spatial_group_enhance(x, block.weight, block.bias)
    if isinstance(block, ge_det.GatherExcite):
        steps = [] if block.variant == 'theta_minus' else list(block.gather)
        return gather_excite(
            x,
            block.extent,
            kernels=[step.conv.weight for step in steps],
            norms=[norm_tensors(step.bn) for step in steps],
            excitation=(
                excitation(block.excite.down, block.excite.up)
                if block.variant == 'theta_plus'
                else None
            ),
            grid=block.grid,
        )
    last = excitation(block.excite.down, block.excite.up)
    if isinstance(block, ge_det.SpatialPyramidSE):
        kernels = [conv.weight for conv in block.fuse]
        biases = [conv.bias for conv in block.fuse]
        return spatial_pyramid(x, kernels, biases, norm_tensors(block.bn), last)
    assert isinstance(block, ge_det.ResolutionGuidedSE)
    kernel, norm = None, None
    if block.grid > 1:
        kernel, norm = block.fuse.conv.weight, norm_tensors(block.fuse.bn)
    return resolution_guided(x, block.grid, kernel, norm, last)
