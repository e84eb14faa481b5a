"""The two operators of a detector that PyTorch has none for, in shapes that follow from the inputs.

How many boxes a suppression keeps is known only once it has run. Told as a mask of the inputs' own
shape, it keeps every later shape known, which is what exporters ask for.
"""

from __future__ import annotations

import torch
from torch import Tensor


@torch.library.custom_op('ge_det::keep_by_nms', mutates_args=())
def keep_by_nms(
    boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float
) -> Tensor:
    """Which boxes non-maximum suppression keeps, of each picture and class by themselves.

    Args:
        boxes (Tensor): (N, R, 4), x1 y1 x2 y2; shared by the classes.
        scores (Tensor): (N, C, R).
        iou_threshold (float): A box goes if it overlaps a better one by more.
        score_threshold (float): A box goes unless its score is higher.

    Returns:
        Tensor: bool, (N, C, R).
    """
    from mmcv.ops import nms

    keep = torch.zeros_like(scores, dtype=torch.bool)
    for image in range(len(boxes)):
        for kept, values in zip(keep[image], scores[image], strict=True):
            (asked,) = torch.nonzero(values > score_threshold, as_tuple=True)
            if len(asked):
                _, best = nms(boxes[image][asked], values[asked], iou_threshold)
                kept[asked[best]] = True
    return keep


@keep_by_nms.register_fake
def _(boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float) -> Tensor:
    return torch.empty_like(scores, dtype=torch.bool)


@torch.library.custom_op('ge_det::align_regions', mutates_args=())
def align_regions(
    features: Tensor,
    boxes: Tensor,
    images: Tensor,
    height: int,
    width: int,
    scale: float,
    samples: int,
    aligned: bool,
) -> Tensor:
    """RoIAlign: averages of a map in the cells of a grid laid over each box.

    Args:
        features (Tensor): (N, C, h, w).
        boxes (Tensor): (K, 4), x1 y1 x2 y2 in pixels of the picture.
        images (Tensor): int64, (K,); the map that each box lies in.
        height (int): Rows of the grid.
        width (int): Columns of it.
        scale (float): Positions of the map a pixel.
        samples (int): Points a side of a cell; 0 takes about one for each position in it.
        aligned (bool): Whether positions stand for the centres of their pixels.

    Returns:
        Tensor: (K, C, height, width).
    """
    from mmcv.ops import roi_align

    regions = torch.cat([images[:, None].to(boxes), boxes], dim=1)
    features = features.contiguous()  # On a CPU channels_last maps are misread.
    pooled: Tensor = roi_align(features, regions, (height, width), scale, samples, 'avg', aligned)
    return pooled


@align_regions.register_fake
def _(
    features: Tensor,
    boxes: Tensor,
    images: Tensor,
    height: int,
    width: int,
    scale: float,
    samples: int,
    aligned: bool,
) -> Tensor:
    return features.new_empty(boxes.shape[0], features.shape[1], height, width)
