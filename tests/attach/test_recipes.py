"""The recipes of docs/other-networks.md, run as printed: only weights and widths are replaced."""

import functools
import re

import detectron2_stand_in
import pytest
import torch
import torchvision_operators
from recipe_page import PAGE, RANDOM, masks, outputs, recipe, run, train_moves
from torch import nn

from ge_det.blocks import AttentionBlock


def test_no_recipe_is_longer_than_fifteen_lines():
    blocks = re.findall(r'```python\n(.*?)```', PAGE, re.DOTALL)
    lines = [sum(bool(line.strip()) for line in block.splitlines()) for block in blocks]
    assert len(lines) == 11 and max(lines) <= 15


@pytest.fixture
def torchvision_detectors(peers, monkeypatch):
    """Those of torchvision with two operators of mmcv where its own are not compiled."""
    torchvision_operators.stand_in(monkeypatch)
    from torchvision.models.detection import faster_rcnn, mask_rcnn

    small = dict(
        num_classes=2,
        min_size=64,
        max_size=64,
        box_batch_size_per_image=8,
        rpn_post_nms_top_n_train=20,
        rpn_post_nms_top_n_test=20,
    )
    for module, name in (
        (faster_rcnn, 'fasterrcnn_resnet50_fpn'),
        (mask_rcnn, 'maskrcnn_resnet50_fpn'),
    ):
        builder = functools.partial(getattr(module, name), **small)
        monkeypatch.setattr(f'torchvision.models.detection.{name}', builder)


@pytest.mark.parametrize(('heading', 'gates'), [('Faster R-CNN', 16), ('Mask R-CNN', 9)])
def test_torchvision_detectors(heading, gates, torchvision_detectors):
    images = [torch.rand(3, 64, 64), torch.rand(3, 64, 48)]
    target = dict(
        boxes=torch.tensor([[5.0, 5, 40, 50]]),
        labels=torch.tensor([1]),
        masks=torch.ones(1, 64, 64, dtype=torch.uint8),
    )
    narrow = dict(target, masks=target['masks'][..., :48])

    def maps(detector):  # Random heads multiply the rounding errors of these.
        return detector.backbone(detector.transform(images)[0].tensors)

    model = run(recipe(heading, RANDOM), 'detector', (images, [target, narrow]), maps)
    assert sum(isinstance(m, AttentionBlock) for m in model.modules()) == gates


def test_timm_by_name(peers, tmp_path):
    from timm.models import create_model

    plain = create_model('resnet18', zero_init_last=False)
    torch.save(plain.state_dict(), tmp_path / 'plain.pth')
    file = f'pretrained_cfg_overlay=dict(file={str(tmp_path / "plain.pth")!r})'
    assert 'add `pretrained_cfg_overlay=dict(file=' in PAGE
    *build, train = recipe('timm, by name', ('resnet50', 'resnet18'), ('num_cl', f'{file}, num_cl'))
    images = torch.rand(2, 3, 64, 64)
    names = dict(batches=[(images, torch.tensor([0, 4]))])
    exec('\n'.join(build), names)
    old, new = plain.eval().forward_features(images), names['model'].eval().forward_features(images)
    assert (new - old).norm() <= 1e-5 * old.norm()
    train_moves(names['model'], train, names)


def test_detectron2_stand_in(monkeypatch):
    detectron2_stand_in.install(monkeypatch)
    batch = [dict(image=torch.rand(3, 128, 128)) for _ in range(2)]
    run(recipe('detectron2'), 'detector', batch, batch)


def test_deeplab(peers):
    run(recipe('DeepLab', RANDOM), 'network', *masks())


def test_any_other_network(peers):
    *build, attach = recipe('Any other network', ("weights='DEFAULT'", ''))
    images, names = torch.rand(2, 3, 64, 64), {}
    exec('\n\n'.join(build), names)
    (before,) = outputs(names['model'], images)
    exec(attach, names)
    (after,) = outputs(names['model'], images)
    assert sum(isinstance(m, AttentionBlock) for m in names['model'].modules()) == 22
    assert before.any() and (after - before).norm() <= 1e-5 * before.norm()


def test_training_the_gates_alone(peers):
    images = torch.rand(2, 3, 64, 64)
    code = recipe('Training the gates', ("weights='DEFAULT'", ''), ('resnet50', 'resnet18'))
    model = run(code, 'model', (images, torch.tensor([1, 2])), images)
    gates = [m for m in model.modules() if isinstance(m, AttentionBlock)]
    learning = {id(p) for gate in gates for p in gate.parameters()}
    assert {id(p) for p in model.parameters() if p.requires_grad} == learning
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not any(norm.num_batches_tracked for norm in norms)


def test_saving_and_loading(peers, tmp_path, monkeypatch):
    from torchvision.models import resnet18

    import ge_det

    trained = resnet18()
    ge_det.add_attention(trained, 'se')
    for parameter in trained.parameters():
        nn.init.normal_(parameter, std=0.05)
    monkeypatch.chdir(tmp_path)
    torch.save(trained.state_dict(), 'trained.pth')
    names = {}
    exec('\n\n'.join(recipe('Saving and loading', ('resnet50', 'resnet18'))), names)
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(outputs(names['model'], images)[0], outputs(trained, images)[0])
