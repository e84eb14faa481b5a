"""Stands in for mmcv's compiled operators, ``mmcv._ext``, where nothing of mmcv is compiled.

Laid into an installed mmcv-lite as ``mmcv/_ext.py``. NMS and RoIAlign (average) come from
torchvision; every other operator raises when it is called. Faster R-CNN needs no others.
"""

from typing import Any

import torch
import torchvision  # noqa: F401  # It registers torch.ops.torchvision.


def nms(boxes: Any, scores: Any, iou_threshold: float, offset: int) -> Any:
    """As in mmcv, for boxes whose sides are differences of coordinates."""
    if offset:
        raise NotImplementedError('NMS with offset 1 is not in the stand-in for mmcv._ext')
    return torch.ops.torchvision.nms(boxes, scores, iou_threshold)


def roi_align_forward(x: Any, rois: Any, output: Any, *_: Any, **options: Any) -> None:
    """As in mmcv, into ``output``."""
    output.copy_(torch.ops.torchvision.roi_align(x, rois, *_arguments(options)))


def roi_align_backward(grad: Any, rois: Any, *maps: Any, **options: Any) -> None:
    """As in mmcv, into the last of the maps."""
    *sizes, ratio, aligned = _arguments(options)
    operator = torch.ops.torchvision._roi_align_backward
    maps[-1].copy_(operator(grad, rois, *sizes, *maps[-1].shape, ratio, aligned))


def _arguments(options: dict[str, Any]) -> list[Any]:
    if options['pool_mode'] != 1:
        raise NotImplementedError('RoIAlign by maximum is not in the stand-in for mmcv._ext')
    names = ('spatial_scale', 'aligned_height', 'aligned_width', 'sampling_ratio', 'aligned')
    return [options[name] for name in names]


def __getattr__(name: str) -> Any:
    if name.startswith('__'):
        raise AttributeError(name)
    if name in ('get_compiler_version', 'get_compiling_cuda_version'):
        return lambda: 'none: operators of torchvision'

    def absent(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f'{name} is not in the stand-in for mmcv._ext')

    return absent
