"""The second stage of a detector: classes, boxes and masks of regions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .dense import Stages
from .operators import align_regions, keep_by_nms
from .rows import best, decode, keep_where, take, wide_enough
from .supported import each_stage

# So far outside that every sample there is 0. It has a size, as an empty box is 0 in mmcv and
# onnxruntime, but 0/0 in OpenVINO.
_NOWHERE = -1e4, -1e4, -1e4 + 1, -1e4 + 1


def detect(
    head: Any,
    maps: tuple[Tensor, ...],
    boxes: Tensor,
    proposal_scores: Tensor,
    sizes: Tensor,
    stages: Stages,
) -> tuple[Tensor, Tensor, Tensor]:
    """The detections of a StandardRoIHead or a CascadeRoIHead.

    Args:
        head (BaseRoIHead): With its ``test_cfg``.
        maps (tuple[Tensor, ...]): Of the neck.
        boxes (Tensor): Proposals (N, R, 4).
        proposal_scores (Tensor): (N, R).
        sizes (Tensor): (N, 2).
        stages (dict): Gets what is computed on the way.

    Returns:
        tuple[Tensor, Tensor, Tensor]: Boxes (N, K, 4), scores and labels (N, K), K being
        ``max_per_img``.
    """
    box_heads, extractors = each_stage(head.bbox_head), each_stage(head.bbox_roi_extractor)
    total = torch.zeros((), dtype=boxes.dtype, device=boxes.device)
    logits = deltas = boxes
    for number, (box_head, extractor) in enumerate(zip(box_heads, extractors, strict=True)):
        if number:
            boxes = _refined(box_heads[number - 1], boxes, logits, deltas, sizes)
        regions = _features(extractor, head, maps, boxes)
        logits, deltas = (out.view(*boxes.shape[:2], -1) for out in box_head(regions))
        stages |= {f'class_scores_{number}': logits, f'box_deltas_{number}': deltas}
        total = total + logits
    scores = (total / len(box_heads)).softmax(-1)[..., :-1]
    scores = keep_where(proposal_scores[..., None] >= 0, scores)
    return _best_of_classes(box_heads[-1], boxes, deltas, scores, sizes, head.test_cfg)


def masks(head: Any, maps: tuple[Tensor, ...], boxes: Tensor, labels: Tensor) -> Tensor:
    """Probabilities of the masks in boxes (N, K, 4) of labels (N, K): (N, K, 28, 28)."""
    mask_heads, extractors = each_stage(head.mask_head), each_stage(head.mask_roi_extractor)
    total = torch.zeros((), dtype=boxes.dtype, device=boxes.device)
    for mask_head, extractor in zip(mask_heads, extractors, strict=True):
        logits = mask_head(_features(extractor, head, maps, boxes))
        height, width = logits.shape[2:]
        if not mask_head.class_agnostic:
            chosen = labels.reshape(-1, 1, 1, 1).expand(-1, 1, height, width)
            logits = logits.gather(1, chosen)
        total = total + logits.sigmoid()
    return (total / len(mask_heads)).view(*labels.shape, height, width)


def _features(extractor: Any, head: Any, maps: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
    """Features of boxes (N, R, 4), each from the map of its size: (N * R, C, h, w)."""
    count, regions = boxes.shape[:2]
    images = torch.arange(count, device=boxes.device)[:, None].expand(count, regions).reshape(-1)
    boxes = boxes.reshape(-1, 4)
    layers = extractor.roi_layers
    levels = extractor.map_roi_levels(F.pad(boxes, (1, 0)), len(layers))
    nowhere = boxes.new_tensor(_NOWHERE)
    parts = []
    for level, layer in enumerate(layers):
        # Boxes of other levels stay in their rows, where they read nothing.
        here = levels == level
        if layer.aligned:  # Otherwise every box is a pixel wide at least.
            here = here & wide_enough(boxes, 0)
        parts.append(
            align_regions(
                maps[level],
                torch.where(here[:, None], boxes, nowhere),
                images,
                *layer.output_size,
                layer.spatial_scale,
                layer.sampling_ratio,
                layer.aligned,
            )
        )
    features: Tensor = sum(parts[1:], start=parts[0])
    return head.shared_head(features) if head.with_shared_head else features


def _refined(box_head: Any, boxes: Tensor, logits: Tensor, deltas: Tensor, sizes: Tensor) -> Tensor:
    """Where a stage of a cascade moves its boxes, for the class that it takes them for."""
    if not box_head.reg_class_agnostic:
        of_class = deltas.reshape(-1, box_head.num_classes, 4)
        chosen = logits[..., :-1].argmax(-1).reshape(-1, 1)
        deltas = take(of_class, chosen).view(boxes.shape)
    return decode(box_head.bbox_coder, boxes, deltas, sizes)


def _best_of_classes(
    box_head: Any, boxes: Tensor, deltas: Tensor, scores: Tensor, sizes: Tensor, cfg: Any
) -> tuple[Tensor, Tensor, Tensor]:
    count, regions, classes = scores.shape
    scores = scores.transpose(1, 2)  # (N, C, R)
    if box_head.reg_class_agnostic:
        boxes = decode(box_head.bbox_coder, boxes, deltas, sizes)
        keep = keep_by_nms(boxes, scores, cfg.nms.iou_threshold, cfg.score_thr)
    else:
        priors = boxes[:, None].expand(count, classes, regions, 4).reshape(count, -1, 4)
        deltas = deltas.view(count, regions, classes, 4).transpose(1, 2).reshape(count, -1, 4)
        boxes = decode(box_head.bbox_coder, priors, deltas, sizes)
        # Each class with boxes of its own is a picture to the suppression.
        keep = keep_by_nms(
            boxes.view(-1, regions, 4),
            scores.reshape(-1, 1, regions),
            cfg.nms.iou_threshold,
            cfg.score_thr,
        ).view(count, classes, regions)
    scores, indices = best(keep_where(keep, scores).flatten(1), cfg.max_per_img)
    rows = indices % regions if box_head.reg_class_agnostic else indices
    return take(boxes, rows), scores, indices // regions
