"""Every COCO config builds; every block in every detector trains and predicts."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from coco_matrix import BLOCK, UNITS, Case, parsed, r50_configs, r101_configs
from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from torch import nn

from ge_det.registry import MODELS as BLOCKS

WIDTH = 16  # A quarter of ResNet-50's, where losses are computed.


def gates(module: nn.Module, block: str) -> list[nn.Module]:
    """The attention blocks inside a module."""
    attention = BLOCK[block][1]
    kind = BLOCKS.get(attention['type']) if attention else ()
    return [child for child in module.modules() if isinstance(child, kind)]


def build(case: Case, pretrained: dict | None, *, narrow: bool = False) -> nn.Module:
    """A case's detector, with other weights than the download, and with few proposals."""
    model = copy.deepcopy(parsed(case.path).model)
    model.backbone.pretrained = pretrained
    if narrow:
        model.backbone.base_channels = WIDTH
        model.neck.in_channels = [4 * WIDTH * 2**stage for stage in range(4)]
    train, test = model.train_cfg, model.test_cfg
    # An untrained detector is sure of nothing: no threshold on its scores.
    if 'rpn' in test:
        for stage in train.rcnn if isinstance(train.rcnn, list) else [train.rcnn]:
            stage.sampler.num = 16
        train.rpn_proposal.max_per_img = test.rpn.max_per_img = 20
        test.rcnn.update(score_thr=0.0, max_per_img=5)
    else:
        test.update(nms_pre=20, score_thr=0.0, max_per_img=5)
    return MODELS.build(model)


@r101_configs
def test_r101_builds(case: Case) -> None:
    with torch.device('meta'):
        model = build(case, pretrained=None)
    assert len(model.backbone.layer3) == 23
    expected = 0 if case.block == 'baseline' else UNITS[101]
    assert len(gates(model.backbone, case.block)) == expected


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Maps this small are not worth sharing: threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Stand-ins for mmpretrain's files: the same keys, a random trunk that is no identity."""
    folder = tmp_path_factory.mktemp('weights')
    torch.manual_seed(0)
    backbones = {
        'plain': ResNet(50, base_channels=WIDTH),
        'se': BLOCKS.build(
            dict(
                type='ge_det.AttentionResNet',
                depth=50,
                base_channels=WIDTH,
                attention=BLOCK['se'][1],
            )
        ),
    }
    for name, backbone in backbones.items():
        state = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
        torch.save(dict(state_dict=state), folder / f'{name}.pth')
    return {name: str(folder / f'{name}.pth') for name in backbones}


@pytest.mark.usefixtures('one_thread')
@r50_configs
def test_one_loss_and_one_predict(case: Case, checkpoints: dict[str, str]) -> None:
    torch.manual_seed(0)
    weights = checkpoints['se' if case.block == 'se' else 'plain']
    pretrained = {**parsed(case.path).model.backbone.pretrained, 'checkpoint': weights}
    model = build(case, pretrained, narrow=True)
    model.init_weights()
    masks = case.detector == 'mask-rcnn'
    # The second image is narrower, so it is padded as in any batch of COCO.
    shapes = [(3, 64, 96), (3, 64, 80)]
    batch = demo_mm_inputs(
        2, image_shapes=shapes, num_items=[3, 2], num_classes=80, with_mask=masks
    )
    blocks = gates(model.backbone, case.block)
    assert len(blocks) == (0 if case.block == 'baseline' else UNITS[50])

    model.train()
    data = model.data_preprocessor(copy.deepcopy(batch), training=True)
    assert data['inputs'].shape == (2, 3, 64, 96)
    loss, logged = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert all(torch.isfinite(value).all() for value in logged.values()), logged
    assert any('mask' in name for name in logged) == masks
    parameters = [p for gate in gates(model.backbone.layer4, case.block) for p in gate.parameters()]
    assert bool(parameters) == (case.block != 'baseline' and 'minus' not in case.block)
    if parameters:
        gradients = [p.grad for p in parameters if p.grad is not None]
        assert all(torch.isfinite(gradient).all() for gradient in gradients)
        assert any(gradient.any() for gradient in gradients), 'no gradient reaches the last gates'

    model.eval()
    with torch.no_grad():
        results = model(**model.data_preprocessor(batch, training=False), mode='predict')
    assert len(results) == 2
    for result, (_, height, width) in zip(results, shapes, strict=True):
        found = result.pred_instances
        boxes = found.bboxes * found.bboxes.new_tensor(result.scale_factor).repeat(2)
        limit = boxes.new_tensor([width, height, width, height]) + 0.01
        assert 0 < len(found) <= 5
        assert ((boxes >= 0) & (boxes <= limit)).all()
        assert ((found.scores >= 0) & (found.scores <= 1)).all()
        assert ((found.labels >= 0) & (found.labels < 80)).all()
        assert ('masks' in found) == masks
        if masks:
            assert found.masks.shape == (len(found), height, width)
