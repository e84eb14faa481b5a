"""COCO annotations as pycocotools looks at them."""

from __future__ import annotations

from typing import Any

from pycocotools.coco import COCO

from ge_det.unprinted import unprinted


def index(content: dict[str, Any]) -> COCO:
    """pycocotools' view of the content of a COCO file; its own reader depends on the locale."""
    coco = COCO()
    coco.dataset = content
    with unprinted():
        coco.createIndex()
    return coco
