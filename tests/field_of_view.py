"""How far around an object a two-stage detector looks when it names it."""

from dataclasses import replace
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
        image = _pixels(picture).requires_grad_()
        maps = detector.neck(detector.backbone(image))
        marks = torch.zeros(height, width, dtype=torch.bool)
        for left, top, wide, high in picture.cue_boxes:
            marks[top : top + high, left : left + wide] = True
        for annotation in picture.annotations:
            left, top, wide, high = annotation['bbox']
            scores = _scores(detector, maps, annotation)
            (slope,) = torch.autograd.grad(scores.sum(), image, retain_graph=True)
            seen = slope[0].abs().sum(0) > 0
            sees_marks |= bool((seen & marks).any())
            rows = seen.any(1).nonzero()
            reaches += [top - int(rows.min())] if rows.min() > 0 else []
            reaches += [int(rows.max()) + 1 - top - high] if rows.max() < height - 1 else []
    return Seen(max(reaches), sees_marks)


@torch.no_grad()
def moved_by_marks(detector, shapes):
    """The largest change of a score of an object's very box when the marks lose their stripes."""
    detector.double().eval()
    found = []
    for drawn in (shapes, replace(shapes, cue_contrast=0)):
        picture = drawn.draw('val', 0)
        maps = detector.neck(detector.backbone(_pixels(picture) / 64 - 2))
        found.append(torch.cat([_scores(detector, maps, one) for one in picture.annotations]))
    return float((found[0] - found[1]).abs().max())


def _pixels(picture):
    pixels = torch.from_numpy(np.ascontiguousarray(picture.image[..., ::-1]))
    return pixels.permute(2, 0, 1)[None].double()


def _scores(detector, maps, annotation):
    left, top, wide, high = annotation['bbox']
    roi = torch.tensor([[0, left, top, left + wide, top + high]]).double()
    extractor = detector.roi_head.bbox_roi_extractor
    scores, _ = detector.roi_head.bbox_head(extractor(maps[: extractor.num_inputs], roi))
    return scores


def _make_linear(detector):
    """All weights positive and every pool an average: a gradient then shows the whole field."""
    for parameter in detector.parameters():
        parameter.data.abs_().add_(1e-3)
    pool = detector.backbone.maxpool
    detector.backbone.maxpool = nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding)
    detector.double().eval()
