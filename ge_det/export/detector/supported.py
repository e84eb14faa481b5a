"""Which detectors can be exported whole, and why another one cannot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmdet.models.dense_heads import AnchorHead, RPNHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors import SingleStageDetector, TwoStageDetector
from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from torch import nn

from ge_det.errors import UserError

_OF_DENSE = 'predict', 'predict_by_feat', '_predict_by_feat_single', '_bbox_post_process'
_OF_REGIONS = 'predict', 'predict_bbox', 'predict_mask', '_bbox_forward', '_mask_forward'
_OF_BOXES = 'predict_by_feat', '_predict_by_feat_single', 'regress_by_class'
_OF_MASKS = 'predict_by_feat', '_predict_by_feat_single'


def each_stage(part: Any) -> Any:
    """The parts of a head in their order: of a cascade one each stage, else the part alone."""
    return part if isinstance(part, nn.ModuleList) else [part]


def check_supported(detector: nn.Module) -> None:
    """Raise a UserError unless a detector can be exported whole; it says what can."""
    why_not = next(_obstacles(detector), None)
    if why_not is not None:
        raise UserError(
            f'{type(detector).__name__} cannot be exported whole: {why_not}; Faster, Mask and '
            'Cascade R-CNN and RetinaNet with hard suppression can, and of other detectors the '
            'feature maps: --what features, or --what backbone'
        )


def check_maps_supported(network: nn.Module) -> None:
    """Raise a UserError if a ``backbone``, or the ``neck`` beside it, has no form in ONNX."""
    why_not = next(_without_operator(network), None)
    if why_not is None:
        return
    if why_not.startswith('neck.'):
        raise UserError(f'{why_not}; the maps before it can be exported: --what backbone')
    raise UserError(
        f'{why_not}; a backbone with ordinary convolutions in its place can be exported'
    )


def _without_operator(network: nn.Module) -> Iterator[str]:
    for name, module in network.named_modules():
        kind = type(module)
        if kind.__module__.startswith('mmcv.ops.') and kind.__name__ != 'RoIAlign':
            yield f'{name} is a {kind.__name__}, which ONNX has no operator for'


def _obstacles(detector: Any) -> Iterator[str]:
    """What stands against it, looked for in an order in which later looks are safe."""
    for base in (TwoStageDetector, SingleStageDetector):
        if isinstance(detector, base):
            if _overrides(detector, base, 'predict', 'extract_feat'):
                yield 'it predicts in a way of its own'
            break
    else:
        yield 'it is of another kind'
    yield from _without_operator(detector)
    if isinstance(detector, SingleStageDetector):
        yield from _against_dense(detector.bbox_head, AnchorHead, BaseDenseHead)
    elif not (detector.with_rpn and detector.with_roi_head):
        yield 'it has no region proposal network'
    else:
        yield from _against_dense(detector.rpn_head, RPNHead, RPNHead)
        yield from _against_regions(detector.roi_head)


def _overrides(part: Any, base: type, *methods: str) -> bool:
    """Whether a part, or what it is made from, computes otherwise than mmdet's own."""
    return any(getattr(type(part), name, None) is not getattr(base, name) for name in methods)


def _against_dense(head: Any, kind: type, predicts: type) -> Iterator[str]:
    own = not isinstance(head, kind) or _overrides(head, predicts, *_OF_DENSE)
    if own or _overrides(head, AnchorHead, 'forward'):
        yield f'{type(head).__name__} predicts in a way of its own'
    if getattr(head.loss_cls, 'custom_cls_channels', False):
        yield f'{type(head.loss_cls).__name__} has channels of its own'
    yield from _against_coder(head)
    yield from _against_cfg(head, 'nms_pre', 'max_per_img')


def _against_regions(head: Any) -> Iterator[str]:
    base: type = CascadeRoIHead if isinstance(head, CascadeRoIHead) else StandardRoIHead
    if not isinstance(head, base) or _overrides(head, base, *_OF_REGIONS):
        yield f'{type(head).__name__} predicts in a way of its own'
    yield from _against_cfg(head, 'score_thr', 'max_per_img')
    for box_head in each_stage(head.bbox_head):
        if not isinstance(box_head, BBoxHead) or _overrides(box_head, BBoxHead, *_OF_BOXES):
            yield f'{type(box_head).__name__} predicts in a way of its own'
        if box_head.custom_cls_channels or box_head.custom_activation:
            yield f'{type(box_head.loss_cls).__name__} has an activation of its own'
        if not (box_head.with_cls and box_head.with_reg):
            yield f'{type(box_head).__name__} predicts no classes or no boxes'
        yield from _against_coder(box_head)
    extractors = [*each_stage(head.bbox_roi_extractor)]
    if head.with_mask:
        extractors += each_stage(head.mask_roi_extractor)
        for mask_head in each_stage(head.mask_head):
            if not isinstance(mask_head, FCNMaskHead) or _overrides(
                mask_head, FCNMaskHead, *_OF_MASKS
            ):
                yield f'{type(mask_head).__name__} predicts in a way of its own'
    for extractor in extractors:
        layers = extractor.roi_layers
        if _overrides(extractor, SingleRoIExtractor, 'forward', 'map_roi_levels') or any(
            type(layer).__name__ != 'RoIAlign' or layer.pool_mode != 'avg' for layer in layers
        ):
            yield f'{type(extractor).__name__} reads regions otherwise than by averages'


def _against_coder(head: Any) -> Iterator[str]:
    if type(head.bbox_coder) is not DeltaXYWHBBoxCoder:
        yield f'the boxes of {type(head).__name__} are coded by {type(head.bbox_coder).__name__}'


def _against_cfg(head: Any, *needed: str) -> Iterator[str]:
    cfg = head.test_cfg or {}
    name = type(head).__name__
    for key in needed:
        value = cfg.get(key)
        if value is None or key != 'score_thr' and value <= 0:
            yield f'test_cfg of {name} has {key}={value}, and the rows of a file need a number'
    nms = cfg.get('nms') or {}
    others = sorted(nms.keys() - {'type', 'iou_threshold', 'split_thr'})
    if nms.get('type', 'nms') != 'nms' or others or 'iou_threshold' not in nms:
        yield f'test_cfg of {name} has nms={dict(nms)}'
