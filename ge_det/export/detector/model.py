"""A detector of mmdet as one network of tensors, from images to detections."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from . import dense, regions
from .supported import check_supported


class ExportableDetector(nn.Module):
    """What mmdet's ``predict`` computes, in shapes that do not depend on what is found.

    The modules are the detector's own; what mmdet does between them picture by picture, with as
    many boxes as there happen to be, is done here for the batch with a fixed number of rows. In
    PyTorch it runs too, for comparison.

    Args:
        detector (nn.Module): A Faster, Mask or Cascade R-CNN or a RetinaNet. It is held as it is,
            not copied, and set to evaluation.
        with_stages (bool): Whether what :meth:`stages` gives follows the outputs. Defaults to
            False.

    Attributes:
        names (tuple[str, ...]): Of the outputs: ``boxes``, ``scores``, ``labels``, of a detector of
            masks ``masks``, then the stages.

    Raises:
        UserError: If the detector is another one, or has parts without a form in ONNX.
    """

    def __init__(self, detector: nn.Module, with_stages: bool = False) -> None:
        super().__init__()
        check_supported(detector)
        self.detector: Any = detector.eval()
        self.with_stages = with_stages
        self.names: tuple[str, ...] = ('boxes', 'scores', 'labels')
        if self._with_masks:
            self.names += ('masks',)
        if with_stages:
            self.names += self._stage_names()

    @property
    def _with_masks(self) -> bool:
        return bool(getattr(self.detector, 'with_mask', False))

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """Detect.

        Args:
            images (Tensor): float32, (N, 3, H, W), resized, normalised and padded at the right and
                the bottom.
            sizes (Tensor): int64, (N, 2): height and width of each without its padding, to which
                boxes are cut off.

        Returns:
            tuple[Tensor, ...]: Boxes (N, K, 4) as x1 y1 x2 y2 in pixels of the input, scores (N, K)
            in falling order, and labels (N, K), K being ``max_per_img``; a row that holds nothing
            has box and score 0 and label -1. Of a detector of masks also their probabilities in the
            box, (N, K, 28, 28).
        """
        stages: dense.Stages = {}
        outputs = self._detect(images, sizes, stages)
        return outputs + tuple(stages.values()) if self.with_stages else outputs

    def stages(self, images: Tensor, sizes: Tensor) -> dict[str, Tensor]:
        """What is computed on the way, in this order, then the outputs.

        ``backbone_0`` and so on, ``neck_0``; ``rpn_scores_0`` and ``rpn_deltas_0`` of each level,
        ``proposals``, ``proposal_scores``; ``class_scores_0`` and ``box_deltas_0`` of each stage of
        the second half; of a RetinaNet ``head_scores_0`` and ``head_deltas_0``.
        """
        stages: dense.Stages = {}
        outputs = self._detect(images, sizes, stages)
        return stages | dict(zip(self.names, outputs, strict=False))

    def _detect(self, images: Tensor, sizes: Tensor, stages: dense.Stages) -> tuple[Tensor, ...]:
        detector = self.detector
        maps = detector.backbone(images)
        stages |= {f'backbone_{index}': one for index, one in enumerate(maps)}
        if detector.with_neck:
            maps = detector.neck(maps)
            stages |= {f'neck_{index}': one for index, one in enumerate(maps)}
        masks: tuple[Tensor, ...] = ()
        if hasattr(detector, 'roi_head'):
            proposals = dense.propose(detector.rpn_head, maps, sizes, stages)
            found = regions.detect(detector.roi_head, maps, *proposals, sizes, stages)
            if self._with_masks:
                masks = (regions.masks(detector.roi_head, maps, found[0], found[2]),)
        else:
            found = dense.detect(detector.bbox_head, maps, sizes, stages)
        boxes, scores, labels = found
        nothing = scores < 0
        boxes = torch.where(nothing[..., None], 0.0, boxes)
        return boxes, scores.clamp(min=0), torch.where(nothing, -1, labels), *masks

    @torch.no_grad()
    def _stage_names(self) -> tuple[str, ...]:
        first = next(self.parameters())
        sizes = torch.full((1, 2), 64, device=first.device)
        found = self.stages(first.new_zeros(1, 3, 64, 64), sizes)
        return tuple(name for name in found if name not in self.names)
