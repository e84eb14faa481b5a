"""How far around an object a two-stage detector looks when it names it."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn


class Seen(NamedTuple):
    reach: int  # Pixels to any side of an object's box; 0 where the picture's border is nearer.
    marks: bool  # Whether any mark is in the field of any object.


def field_of_view(detector, shapes, pictures=6):
    """Of the very network, by gradient, on pictures of a set."""
    _make_linear(detector)
    reaches, sees_marks = [0], False
    for index in range(pictures):
        picture = shapes.draw('val', index)
        height, width = picture.image.shape[:2]
        pixels = torch.from_numpy(np.ascontiguousarray(picture.image[..., ::-1]))
        image = pixels.permute(2, 0, 1)[None].double().requires_grad_()
        maps = detector.neck(detector.backbone(image))
        marks = torch.zeros(height, width, dtype=torch.bool)
        for left, top, wide, high in picture.cue_boxes:
            marks[top : top + high, left : left + wide] = True
        for annotation in picture.annotations:
            left, top, wide, high = annotation['bbox']
            roi = torch.tensor([[0, left, top, left + wide, top + high]]).double()
            extractor = detector.roi_head.bbox_roi_extractor
            pooled = extractor(maps[: extractor.num_inputs], roi)
            scores, _ = detector.roi_head.bbox_head(pooled)
            (slope,) = torch.autograd.grad(scores.sum(), image, retain_graph=True)
            seen = slope[0].abs().sum(0) > 0
            sees_marks |= bool((seen & marks).any())
            rows = seen.any(1).nonzero()
            reaches += [top - int(rows.min())] if rows.min() > 0 else []
            reaches += [int(rows.max()) + 1 - top - high] if rows.max() < height - 1 else []
    return Seen(max(reaches), sees_marks)


def _make_linear(detector):
    """All weights positive and every pool an average: a gradient then shows the whole field."""
    for parameter in detector.parameters():
        parameter.data.abs_().add_(1e-3)
    pool = detector.backbone.maxpool
    detector.backbone.maxpool = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding)
    detector.double().eval()
