"""Maps of detections by the library are what their definitions say, at the picture's own size."""

from importlib.util import find_spec

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from narrow_detectors import CLASSES, detector, pictures

from ge_det.errors import UserError
from ge_det.inspect import grad_cam
from ge_det.inspect.grad_cam import DetectedBox, explain_detections
from ge_det.inspect.grad_cam_figure import draw_explanations

pytestmark = [
    pytest.mark.usefixtures('peers'),
    pytest.mark.skipif(find_spec('pytorch_grad_cam') is None, reason='grad-cam is not installed'),
]
SIZE, ORIGINAL = (80, 112), (40, 56)  # The picture was scaled up by two, and is padded to 96 x 128.


def picture():
    meta = dict(img_shape=SIZE, ori_shape=ORIGINAL, scale_factor=(2.0, 2.0))
    return dict(
        inputs=pictures((1, *SIZE))[0] * 50 + 110, data_samples=DetDataSample(metainfo=meta)
    )


def attached(levels, picture, detach):
    return [level[picture] for level in levels]


def by_definition(built, data, local):
    """Maps at the size of the network's input, one for each detection, without the library."""
    seen = {}
    hook = built.backbone.layer4.register_forward_hook(lambda m, x, y: seen.update(y=y))
    batch = dict(inputs=[data['inputs']], data_samples=[data['data_samples']])
    ready = built.data_preprocessor(batch, False)
    images = ready['inputs'].requires_grad_()
    with pytest.MonkeyPatch.context() as patch:  # mmdet's heads detach their scores with it.
        patch.setattr('mmdet.models.dense_heads.base_dense_head.select_single_mlvl', attached)
        found = built.predict(images, ready['data_samples'])[0].pred_instances
    hook.remove()
    maps = []
    for place in found.scores.argsort(descending=True, stable=True)[:2]:
        (gradient,) = torch.autograd.grad(found.scores[place], seen['y'], retain_graph=True)
        weights = gradient if local else gradient.mean((2, 3), keepdim=True)
        heat = (weights * seen['y']).sum(1)[0].relu().detach().numpy()
        heat = cv2.resize(heat, images.shape[:1:-1])
        maps.append((heat - heat.min()) / (heat.max() - heat.min()))
    return found[found.scores.argsort(descending=True, stable=True)][:2].detach(), maps


@pytest.mark.parametrize(
    'kind, method',
    [('faster-rcnn', 'GradCAM'), ('faster-rcnn', 'HiResCAM'), ('retinanet', 'GradCAM')],
)
def test_maps_are_what_their_definitions_say(kind, method):
    built = detector(kind, attention='se')
    found, maps = by_definition(built, picture(), local=method == 'HiResCAM')
    told = explain_detections(built, picture(), most=2, method=method)
    assert len(told) == 2
    for one, heat, box, label, score in zip(
        told, maps, found.bboxes, found.labels, found.scores, strict=True
    ):
        assert one.map.shape == ORIGINAL and one.map.dtype == np.float32
        expected = cv2.resize(heat[: SIZE[0], : SIZE[1]], ORIGINAL[::-1])
        np.testing.assert_allclose(one.map, expected, atol=2e-3)
        assert one.box == pytest.approx(box.tolist(), abs=1e-3)
        assert (one.label, one.score) == (int(label), pytest.approx(float(score)))


@pytest.mark.parametrize('kind', ['mask-rcnn', 'cascade-rcnn'])
def test_other_detectors_and_every_method(kind):
    built = detector(kind, attention='sge')
    for method in grad_cam.METHODS if kind == 'mask-rcnn' else ['GradCAM']:
        (told,) = explain_detections(built, picture(), most=1, method=method)
        assert told.map.min() >= 0 and 0.3 < told.map.max() <= 1


def test_the_detector_stays_as_it_is():
    built = detector('faster-rcnn', attention='se')
    parameters = list(built.parameters())
    for number, one in enumerate(parameters):
        one.requires_grad_(number % 2 == 0)
        one.grad = torch.full_like(one, number)
    hooks = [module for module in built.modules() if module._forward_hooks]
    with torch.no_grad():
        explain_detections(built, picture(), most=1)
    assert not built.training
    assert [one.requires_grad for one in parameters] == [n % 2 == 0 for n in range(len(parameters))]
    assert all((one.grad == number).all() for number, one in enumerate(parameters))
    assert [module for module in built.modules() if module._forward_hooks] == hooks
    assert explain_detections(built, picture(), score_thr=1.0) == []


def test_what_cannot_be_explained_is_told(monkeypatch):
    built = detector('faster-rcnn', attention='se')
    with pytest.raises(UserError, match="method='EigenCAM' is not allowed: it is one of GradCAM"):
        explain_detections(built, picture(), method='EigenCAM')
    with pytest.raises(UserError, match='the layer has no part in a detection'):
        explain_detections(built, picture(), layer=built.roi_head.bbox_roi_extractor.roi_layers[3])
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'ge-det\[inspect\]'"):
        explain_detections(built, picture())


def test_a_box_is_found_again_among_those_of_its_class():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 9]])
    found = InstanceData(
        bboxes=boxes, labels=torch.tensor([1, 0, 0]), scores=torch.tensor([0.9, 0.5, 0.7])
    )
    assert DetectedBox(boxes[0], 0)(found) == pytest.approx(0.7)  # IoU 0.9, the other's 0.82
    assert DetectedBox(boxes[0], 1)(found) == pytest.approx(0.9)
    assert DetectedBox(boxes[0], 2)(found) == 0
    assert DetectedBox(boxes[0] + 20, 0)(found) == 0
    assert DetectedBox(boxes[0] + 4, 0, least_iou=0.2)(found) == pytest.approx(0.5)


def test_the_figure_has_a_row_for_each_method():
    one = grad_cam.Explanation((4.0, 4.0, 20.0, 30.0), 1, 0.75, np.eye(40, 56, dtype=np.float32))
    image = np.full((40, 56, 3), 128, np.uint8)
    rows = dict(GradCAM=[one, one], HiResCAM=[one])
    names = [f'class {number}' for number in range(CLASSES)]
    figure = draw_explanations(image, rows, names, 'a.jpg')
    assert figure.png.startswith(b'\x89PNG')
    assert [len(row) for row in figure.numbers.values()] == [2, 1]
    assert figure.numbers['HiResCAM'][0] == dict(
        class_name='class 1', score=0.75, box=[4.0, 4.0, 20.0, 30.0]
    )
