"""The operators of this package in ONNX's standard ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch

from . import operators  # noqa: F401  # It makes the operators known to torch.

_ALL = 2**31 - 1  # Boxes of a class; runtimes hold it in 32 bits.
_BOOL = 9  # As ONNX numbers its types.


def _keep_by_nms(boxes: Any, scores: Any, iou_threshold: float, score_threshold: float) -> Any:
    from onnxscript import opset18

    op: Any = opset18  # Whose types are those of values, not of what is being written.
    kept = op.NonMaxSuppression(
        boxes,
        scores,
        op.Constant(value_int=_ALL),
        op.Constant(value_float=iou_threshold),
        op.Constant(value_float=score_threshold),
    )  # A row (picture, class, box) for each.
    ones = op.Expand(op.Constant(value_float=1.0), op.Shape(kept, start=0, end=1))
    zeros = op.ConstantOfShape(op.Shape(scores))
    return op.Cast(op.ScatterND(zeros, kept, ones), to=_BOOL)


def _align_regions(
    features: Any,
    boxes: Any,
    images: Any,
    height: int,
    width: int,
    scale: float,
    samples: int,
    aligned: bool,
) -> Any:
    from onnxscript import opset18

    op: Any = opset18
    return op.RoiAlign(
        features,
        boxes,
        images,
        output_height=height,
        output_width=width,
        spatial_scale=scale,
        sampling_ratio=samples,
        coordinate_transformation_mode='half_pixel' if aligned else 'output_half_pixel',
    )


TRANSLATIONS: Mapping[Callable[..., Any], Callable[..., Any]] = MappingProxyType(
    {
        torch.ops.ge_det.keep_by_nms.default: _keep_by_nms,
        torch.ops.ge_det.align_regions.default: _align_regions,
    }
)
"""What stands for our operators in a file, for PyTorch's exporter."""
