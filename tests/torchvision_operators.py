"""Two operators of torchvision's detectors where its own do not load, as beside a CPU torch."""

import sys


def stand_in(monkeypatch):
    """Have torchvision take those of mmcv, if it has none."""
    from torchvision.extension import _has_ops

    if _has_ops():
        return
    import torchvision.ops  # noqa: F401
    from mmcv.ops import nms, roi_align

    def align(x, boxes, scale, height, width, ratio, aligned):
        return roi_align(x, boxes, (height, width), scale, ratio, 'avg', aligned)

    module = sys.modules['torchvision.ops.roi_align']
    monkeypatch.setattr(module, '_roi_align', align)
    monkeypatch.setattr('torchvision.ops.boxes.nms', lambda *args: nms(*args)[1])
