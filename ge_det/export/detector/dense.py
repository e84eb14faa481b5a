"""Boxes of heads that look everywhere: a region proposal network's, a RetinaNet's."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .operators import keep_by_nms
from .rows import LOWEST, best, decode, keep_where, take, wide_enough

Stages = dict[str, Tensor]
"""What was computed on the way, by name."""


class Candidates(NamedTuple):
    """The best boxes of each level, one level after another; L levels with as many each.

    Attributes:
        boxes (Tensor): (N, L * n, 4).
        scores (Tensor): (N, L * n).
        labels (Tensor): int64, (N, L * n).
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


def propose(
    head: Any, maps: tuple[Tensor, ...], sizes: Tensor, stages: Stages
) -> tuple[Tensor, Tensor]:
    """The proposals of an RPNHead.

    Args:
        head (RPNHead): With its ``test_cfg``.
        maps (tuple[Tensor, ...]): Of the neck.
        sizes (Tensor): (N, 2).
        stages (dict): Gets what is computed on the way.

    Returns:
        tuple[Tensor, Tensor]: Boxes (N, R, 4) and scores (N, R), R being ``max_per_img``.
    """
    found = _candidates(head, maps, sizes, stages, 'rpn', None)
    # Each level has its own suppression.
    of_level = found.scores.view(-1, 1, head.test_cfg.nms_pre)
    boxes = found.boxes.view(-1, head.test_cfg.nms_pre, 4)
    keep = keep_by_nms(boxes, of_level, head.test_cfg.nms.iou_threshold, LOWEST)
    scores = keep_where(keep, of_level).view(found.scores.shape)
    scores, indices = best(scores, head.test_cfg.max_per_img)
    boxes = torch.where(scores[..., None] < 0, 0.0, take(found.boxes, indices))
    stages.update(proposals=boxes, proposal_scores=scores)
    return boxes, scores


def detect(
    head: Any, maps: tuple[Tensor, ...], sizes: Tensor, stages: Stages
) -> tuple[Tensor, Tensor, Tensor]:
    """The detections of an anchor head such as a RetinaHead.

    Args:
        head (AnchorHead): With its ``test_cfg``.
        maps (tuple[Tensor, ...]): Of the neck.
        sizes (Tensor): (N, 2).
        stages (dict): Gets what is computed on the way.

    Returns:
        tuple[Tensor, Tensor, Tensor]: Boxes (N, K, 4), scores and labels (N, K), K being
        ``max_per_img``.
    """
    cfg = head.test_cfg
    found = _candidates(head, maps, sizes, stages, 'head', cfg.get('score_thr', 0))
    classes = torch.arange(head.num_classes, device=found.labels.device)[:, None]
    of_class = keep_where(found.labels[:, None] == classes, found.scores[:, None])
    keep = keep_by_nms(found.boxes, of_class, cfg.nms.iou_threshold, LOWEST).any(1)
    scores, indices = best(keep_where(keep, found.scores), cfg.max_per_img)
    return take(found.boxes, indices), scores, found.labels.gather(1, indices)


def _candidates(
    head: Any,
    maps: tuple[Tensor, ...],
    sizes: Tensor,
    stages: Stages,
    name: str,
    threshold: float | None,
) -> Candidates:
    all_scores, all_deltas = head(maps)
    for level, (scores, deltas) in enumerate(zip(all_scores, all_deltas, strict=True)):
        stages |= {f'{name}_scores_{level}': scores, f'{name}_deltas_{level}': deltas}
    levels = [
        _best_of_level(head, level, *maps_of_level)
        for level, maps_of_level in enumerate(zip(all_scores, all_deltas, strict=True))
    ]
    scores, labels, deltas, anchors = (torch.cat(part, 1) for part in zip(*levels, strict=True))
    boxes = decode(head.bbox_coder, anchors, deltas, sizes)
    if threshold is not None:
        scores = keep_where(scores > threshold, scores)
    least = head.test_cfg.get('min_bbox_size', -1)
    if least >= 0:
        scores = keep_where(wide_enough(boxes, least), scores)
    return Candidates(boxes, scores, labels)


def _best_of_level(
    head: Any, level: int, scores: Tensor, deltas: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scores, labels, deltas and anchors of the best of a level, (N, n) or (N, n, 4)."""
    # As tensors: divisions by an open axis have no other form in ONNX.
    height, width = (torch.full((), side, device=scores.device) for side in scores.shape[2:])
    area = height * width
    classes = head.cls_out_channels
    if head.use_sigmoid_cls:
        scores = scores.sigmoid()
    else:
        scores = scores.unflatten(1, (-1, classes)).softmax(2)[:, :, :-1]
        classes -= 1
    # As (A, C, h, w) lies in memory; mmdet brings it into the order of the anchors, (h, w, A, C).
    scores, indices = best(scores.flatten(1), head.test_cfg.nms_pre)
    channels, positions = indices // area, indices % area
    anchors = channels // classes
    rows = 4 * anchors[..., None] + torch.arange(4, device=indices.device)
    deltas = deltas.flatten(1).gather(1, (rows * area + positions[..., None]).flatten(1))
    deltas = deltas.unflatten(1, (-1, 4))
    count = head.prior_generator.num_base_priors[level]
    priors = head.prior_generator.sparse_priors(
        (positions * count + anchors).flatten(),
        (height, width),
        level,
        scores.dtype,
        scores.device,
    )
    return scores, channels % classes, deltas, priors.view(deltas.shape)
