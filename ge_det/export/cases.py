"""Batches of pictures as a file takes them, and what mmdet finds in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import mmcv
import numpy as np
import torch
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.nn import functional as F

from ge_det.export.session import Found

_ROUNDING = 1e-7  # Of a float32 near 1.


@dataclass(frozen=True)
class Case:
    """A batch.

    Attributes:
        images (Tensor): (N, 3, H, W), normalised and padded.
        samples (list[DetDataSample]): What mmdet knows of each picture.
    """

    images: Tensor
    samples: list[DetDataSample]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the batch."""
        return self.images.shape[2], self.images.shape[3]

    @property
    def sizes(self) -> Tensor:
        """(N, 2), height and width of each picture without its padding."""
        return torch.tensor([sample.img_shape[:2] for sample in self.samples])


def prepare(model: nn.Module, pictures: Sequence[np.ndarray], size: tuple[int, int]) -> Case:
    """Resize pictures into a size, keeping their ratio, and pad them to it.

    Args:
        model (nn.Module): The detector, for its preprocessing.
        pictures (Sequence[np.ndarray]): (h, w, 3) of ``uint8``, BGR.
        size (tuple[int, int]): Height and width, multiples of the pad divisor.
    """
    inputs, samples = [], []
    for picture in pictures:
        height, width = picture.shape[:2]
        times = min(size[0] / height, size[1] / width)
        new = max(1, round(width * times)), max(1, round(height * times))
        resized = mmcv.imresize(picture, new)
        inputs.append(torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1))))
        info = dict(
            img_shape=resized.shape[:2],
            ori_shape=(height, width),
            scale_factor=(new[0] / width, new[1] / height),
        )
        samples.append(DetDataSample(metainfo=info))
    preprocess: Any = model.data_preprocessor
    data = preprocess(dict(inputs=inputs, data_samples=samples), False)
    return _padded(Case(data['inputs'], data['data_samples']), size, preprocess.pad_value)


def _padded(case: Case, size: tuple[int, int], value: float) -> Case:
    below, beside = (wanted - has for wanted, has in zip(size, case.size, strict=True))
    for sample in case.samples:
        sample.set_metainfo(dict(batch_input_shape=size, pad_shape=size))
    return Case(F.pad(case.images, (0, beside, 0, below), value=float(value)), case.samples)


@torch.inference_mode()
def predict(model: Any, case: Case) -> list[DetDataSample]:
    """What ``test_step`` of mmdet gives: detections in pixels of the pictures as they were."""
    samples = [sample.clone() for sample in case.samples]
    found: list[DetDataSample] = model(case.images.clone(), samples, mode='predict')
    return found


@contextmanager
def rounded_otherwise(model: nn.Module, seed: int) -> Iterator[None]:
    """Change the scores of a detector at random by about what their rounding does.

    Near 1 a float32 tells little: what a sigmoid makes of 12 and of 12.01 may be the same number.
    Which of two boxes with the same score suppresses the other, the order of sorting decides.
    """
    generator = torch.Generator().manual_seed(seed)

    def change(layer: nn.Module, inputs: Any, logits: Tensor) -> Tensor:
        scores = logits.softmax(1) if isinstance(layer, nn.Linear) else logits.sigmoid()
        noise = torch.randn(logits.shape, generator=generator)
        return logits + noise * _ROUNDING / (1 - scores + _ROUNDING)

    layers = [layer for name, layer in model.named_modules() if name.endswith('_cls')]
    handles = [layer.register_forward_hook(change) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def found_by(samples: Sequence[DetDataSample]) -> list[Found]:
    """The detections of mmdet as those of a file, in the same pixels as they are."""
    found = []
    for sample in samples:
        one = sample.pred_instances
        masks = np.asarray(one.masks) if 'masks' in one else None
        found.append(Found(one.bboxes.numpy(), one.scores.numpy(), one.labels.numpy(), masks))
    return found


def as_instances(found: Found, sample: DetDataSample, mask_threshold: float) -> InstanceData:
    """The detections of a file as mmdet has them: in pixels of the picture as it was.

    Args:
        found (Found): In pixels of the input.
        sample (DetDataSample): What mmdet knows of the picture.
        mask_threshold (float): From which a mask's probability counts as inside.
    """
    factor = torch.tensor(sample.scale_factor, dtype=torch.float32).repeat(2)
    boxes = torch.from_numpy(found.boxes).float() / factor
    instances = InstanceData(
        bboxes=boxes,
        scores=torch.from_numpy(found.scores).float(),
        labels=torch.from_numpy(found.labels),
    )
    if found.masks is not None:
        masks = torch.from_numpy(found.masks).float()
        instances.masks = _paste(masks, boxes, sample.ori_shape[:2], mask_threshold)
    return instances


def _paste(masks: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float) -> Tensor:
    """One after the other, as mmdet does it on a CPU."""
    pasted = torch.zeros(len(masks), *size, dtype=torch.bool)
    for index in range(len(masks)):
        one = slice(index, index + 1)
        inside, place = _do_paste_mask(masks[one, None], boxes[one], *size, skip_empty=True)
        pasted[index][place] = inside[0] >= threshold
    return pasted
