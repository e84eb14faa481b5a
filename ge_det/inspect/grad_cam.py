"""Grad-CAM of what a detector of mmdet finds, by the library pytorch-grad-cam."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmdet.models.detectors import SingleStageDetector
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ge_det.compat.extras import check_inspect
from ge_det.compat.peers import use_peers
from ge_det.errors import UserError

METHODS = ('GradCAM', 'HiResCAM', 'LayerCAM', 'XGradCAM', 'GradCAMPlusPlus')
"""Of the library, those that need one gradient and take a detection as it is."""


class Explanation(NamedTuple):
    """Where a detection comes from.

    Attributes:
        box (tuple[float, ...]): x1, y1, x2, y2 in pixels of the picture.
        label (int): Its class.
        score (float): 0 to 1.
        map (np.ndarray): Grad-CAM at the picture's size, (H, W) of ``float32`` in 0 to 1; all 0
            where nothing in the layers speaks for the detection.
    """

    box: tuple[float, ...]
    label: int
    score: float
    map: np.ndarray


class DetectorOutputs(nn.Module):
    """A detector as pytorch-grad-cam takes a model: images in, detections out.

    Args:
        detector (BaseDetector): Of mmdet 3.
        samples (list): One DetDataSample for each image, with its meta.
    """

    def __init__(self, detector: Any, samples: list[Any]) -> None:
        super().__init__()
        self.detector = detector
        self._samples = samples

    def forward(self, images: Tensor) -> list[Any]:
        """Images (N, 3, H, W) to an InstanceData of each, boxes in pixels of its picture."""
        if not isinstance(self.detector, SingleStageDetector):
            found = self.detector.predict(images, self._samples, rescale=True)
            return [sample.pred_instances for sample in found]
        features = self.detector.extract_feat(images)
        with _Undetached():
            told: list[Any] = self.detector.bbox_head.predict(features, self._samples, rescale=True)
        return told


class _Undetached(TorchFunctionMode):
    """Leaves tensors in their graph: mmdet's dense heads detach their scores when they predict."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if func is Tensor.detach else func(*args, **(kwargs or {}))


class DetectedBox:
    """A target of pytorch-grad-cam: the score of one detected box.

    It is looked for again in what the detector finds, since methods that change features move it.

    Args:
        box (Tensor): x1, y1, x2, y2, (4,).
        label (int | Tensor): Its class.
        least_iou (float): Of a detection of the same class that is still this one. Defaults to 0.5.
    """

    def __init__(self, box: Tensor, label: int | Tensor, least_iou: float = 0.5) -> None:
        self.box = box
        self.label = label
        self.least_iou = least_iou

    def __call__(self, found: Any) -> Tensor:
        """The score of the box among the detections of a picture, 0 if it is not there."""
        same = found[found.labels == self.label]
        overlaps = bbox_overlaps(same.bboxes.detach(), self.box.to(same.bboxes)[None])
        if not len(same) or overlaps.max() < self.least_iou:
            nothing: Tensor = found.scores.sum() * 0
            return nothing
        score: Tensor = same.scores[overlaps.argmax()]
        return score


def explain_detections(
    detector: Any,
    data: Mapping[str, Any],
    layer: nn.Module | None = None,
    most: int = 3,
    score_thr: float = 0.3,
    method: str = 'GradCAM',
) -> list[Explanation]:
    """Grad-CAM of the surest detections in a picture.

    The maps of a layer, weighted by the mean gradient of the detection's score, are summed, and
    what is positive is shown (Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391). One weight
    holds for the whole picture, so that other objects of the kind are bright, too; ``'HiResCAM'``
    (Draelos & Carin 2020, https://arxiv.org/abs/2011.08891) weights each position by its own
    gradient and shows what this box follows from. The score is that of a class against all others:
    maps show what makes the box this class, not what moves it.

    Args:
        detector (BaseDetector): Of mmdet 3, in evaluation, such as Faster, Mask and Cascade
            R-CNN, RetinaNet and FCOS. It is left as it is, gradients of its weights included.
        data (Mapping): One picture from a test pipeline: ``inputs`` and ``data_samples``.
        layer (nn.Module, optional): That puts out one map (N, C, h, w). Defaults to None: the last
            stage of the backbone.
        most (int): Detections to explain, each by a forward and a backward pass. Defaults to 3.
        score_thr (float): Of higher scores. Defaults to 0.3.
        method (str): One of :data:`METHODS`. Defaults to ``'GradCAM'``.

    Returns:
        list[Explanation]: The surest first; empty if nothing is found.

    Raises:
        UserError: If pytorch-grad-cam is missing, the scores have no gradient, the layer has no
            part in them, or none is given and the backbone does not tell its stages.
    """
    if method not in METHODS:
        raise UserError(f'method={method!r} is not allowed: it is one of {", ".join(METHODS)}')
    check_inspect('pytorch_grad_cam')
    try:
        use_peers()  # It imports torchvision.
    except ImportError as error:
        raise UserError(str(error)) from error
    import pytorch_grad_cam

    layer = last_stage(detector) if layer is None else layer
    batch = dict(inputs=[data['inputs']], data_samples=[data['data_samples']])
    ready = detector.data_preprocessor(batch, False)
    images, samples = ready['inputs'].detach().clone(), ready['data_samples']
    model = DetectorOutputs(detector, samples)
    with _gradients_of_images(detector):
        found = model(images.requires_grad_())[0]
        if not found.scores.requires_grad:
            raise UserError(f'{type(detector).__name__}.predict gives scores without a gradient')
        found = found[found.scores > score_thr].detach()
        found = found[found.scores.argsort(descending=True, stable=True)][:most]
        cam = getattr(pytorch_grad_cam, method)(model, [layer])
        try:  # Its own `with` hides an IndexError.
            targets = [DetectedBox(*one) for one in zip(found.bboxes, found.labels, strict=True)]
            maps = [_map(cam, images, target) for target in targets]
        finally:
            cam.activations_and_grads.release()
    boxes, labels, scores = found.bboxes.tolist(), found.labels.tolist(), found.scores.tolist()
    heat = [_on_picture(one, samples[0]) for one in maps]
    return [
        Explanation(tuple(b), *rest) for b, *rest in zip(boxes, labels, scores, heat, strict=True)
    ]


def _map(cam: Any, images: Tensor, target: DetectedBox) -> np.ndarray:
    """The map of one picture, at the size of the network's input."""
    try:
        heat: np.ndarray = cam(images, [target])[0]
    except AttributeError as error:
        if cam.activations_and_grads.gradients:
            raise
        raise UserError(
            'the layer has no part in a detection: give one that it follows from'
        ) from error
    return heat


def last_stage(detector: Any) -> nn.Module:
    """The last stage of the backbone, such as ``layer4``."""
    backbone = detector.backbone
    names = getattr(backbone, 'res_layers', None)
    if not names:
        raise UserError(f'{type(backbone).__name__} does not tell its stages: give layers=')
    stage: nn.Module = backbone.get_submodule(names[-1])
    return stage


@contextmanager
def _gradients_of_images(detector: nn.Module) -> Iterator[None]:
    """Only the images get gradients; what training left in the weights stays."""
    parameters = list(detector.parameters())
    before = [(one.requires_grad, one.grad) for one in parameters]
    try:
        for one in parameters:
            one.requires_grad_(False)
            one.grad = None
        with torch.enable_grad():
            yield
    finally:
        for one, (learns, grad) in zip(parameters, before, strict=True):
            one.requires_grad_(learns)
            one.grad = grad


def _on_picture(heat: np.ndarray, sample: Any) -> np.ndarray:
    """A map of the network's input at the size of the picture, without the padding."""
    height, width = sample.img_shape[:2]
    shape = sample.ori_shape[:2]
    return cv2.resize(heat[:height, :width].astype(np.float32), shape[::-1])
