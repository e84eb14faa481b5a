"""The same for recipes whose packages are not set up here; where they are there, the tests run."""

from pathlib import Path

import pytest
import torch
from recipe_page import PAGE, masks, outputs, recipe, run, train_moves

from ge_det.blocks import AttentionBlock


def detr_batch():
    labels = dict(class_labels=torch.tensor([1]), boxes=torch.tensor([[0.5, 0.5, 0.2, 0.2]]))
    images = dict(pixel_values=torch.rand(2, 3, 64, 64))
    return images | dict(labels=[labels, labels]), images


def tiny_detr(backbone):
    from transformers import DetrConfig, DetrForObjectDetection

    small = dict(d_model=32, num_queries=5, num_labels=3)
    for part in ('encoder', 'decoder'):
        small |= {f'{part}_layers': 1, f'{part}_ffn_dim': 32, f'{part}_attention_heads': 2}
    return DetrForObjectDetection(DetrConfig(backbone_config=backbone, **small))


def tiny_rt_detr():
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig

    backbone = RTDetrResNetConfig(
        embedding_size=16,
        hidden_sizes=[16, 32, 64, 64],
        depths=[1, 1, 2, 1],
        out_features=['stage2', 'stage3', 'stage4'],
    )
    small = dict(encoder_in_channels=[32, 64, 64], decoder_in_channels=[32] * 3, num_denoising=0)
    small |= dict(d_model=32, encoder_hidden_dim=32, num_queries=5, num_labels=3)
    for part in ('encoder', 'decoder'):
        small |= {f'{part}_layers': 1, f'{part}_ffn_dim': 32, f'{part}_attention_heads': 2}
    return RTDetrForObjectDetection(RTDetrConfig(backbone_config=backbone, **small))


@pytest.fixture
def transformers(peers):
    return pytest.importorskip('transformers')


def test_rt_detr(transformers, tmp_path):
    tiny_rt_detr().save_pretrained(tmp_path)
    code = recipe('RT-DETR', ('PekingU/rtdetr_r50vd', str(tmp_path)))
    run(code, 'detector', *detr_batch())


def test_detr_around_a_network_of_timm(transformers, tmp_path):
    tiny_detr(
        transformers.TimmBackboneConfig(backbone='resnet18', out_indices=[4])
    ).save_pretrained(tmp_path)
    code = recipe('RT-DETR', ('RTDetrFor', 'DetrFor'), ('PekingU/rtdetr_r50vd', str(tmp_path)))
    assert "`DetrForObjectDetection.from_pretrained('facebook/detr-resnet-50')`" in PAGE
    run(code, 'detector', *detr_batch())


def test_a_backbone_by_name_in_transformers(transformers, tmp_path):
    """Built without memory and then filled, as everything that transformers loads."""
    import ge_det.timm  # noqa: F401

    assert '`TimmBackboneConfig(backbone=...)`' in PAGE
    detector = tiny_detr(transformers.TimmBackboneConfig(backbone='resnet18_sge', out_indices=[4]))
    batch, images = detr_batch()
    train_moves(
        detector, recipe('RT-DETR')[-1], dict(torch=torch, detector=detector, batches=[batch] * 2)
    )
    detector.save_pretrained(tmp_path)
    again = type(detector).from_pretrained(tmp_path)
    assert any(isinstance(m, AttentionBlock) for m in again.modules())
    for old, new in zip(outputs(detector, images), outputs(again, images), strict=True):
        assert torch.equal(old, new)


def test_segmentation_models_pytorch(peers):
    pytest.importorskip('segmentation_models_pytorch')
    random = ("encoder_weights='imagenet'", 'encoder_weights=None')
    run(recipe('DeepLab', random, number=1), 'network', *masks())


def test_segmentation_models_pytorch_by_name(peers):
    smp = pytest.importorskip('segmentation_models_pytorch')
    import ge_det.timm  # noqa: F401

    assert '`tu-resnet50_sge`' in PAGE
    network = smp.Unet('tu-resnet18_sge', encoder_weights=None, classes=2, in_channels=4)
    assert sum(isinstance(m, AttentionBlock) for m in network.modules()) == 8
    assert network(torch.rand(2, 4, 64, 64)).shape == (2, 2, 64, 64)
    assert smp.encoders.get_preprocessing_params('tu-resnet18_sge')['mean']


def gate_of(model):
    (gate,) = (m for m in model.modules() if isinstance(m, AttentionBlock))
    return gate


def test_ultralytics(peers, tmp_path, monkeypatch):
    monkeypatch.setenv('YOLO_CONFIG_DIR', str(tmp_path))
    pytest.importorskip('ultralytics')
    from mmcv import imwrite

    monkeypatch.chdir(tmp_path)
    Path('yolo-sge.yaml').write_text('\n\n'.join(recipe('Ultralytics', kind='yaml')))
    Path('data.yaml').write_text(
        f'path: {tmp_path}\ntrain: images\nval: images\nnames: [a, b, c]\n'
    )
    for name in 'ab':
        imwrite(torch.randint(0, 255, (64, 64, 3), dtype=torch.uint8).numpy(), f'images/{name}.jpg')
        Path('labels').mkdir(exist_ok=True)
        Path(f'labels/{name}.txt').write_text('0 .5 .5 .4 .4\n')
    small = "epochs=1, imgsz=64, batch=2, device='cpu', workers=0, plots=False, project='runs'"
    code = '\n'.join(recipe('Ultralytics', ('epochs=100', small))).rstrip()
    build, train = code.rsplit('\n', 1)
    names = {}
    exec(build, names)
    before = gate_of(names['model']).weight.detach().clone()
    exec(train, names)  # which loads the network that it saved
    assert (gate_of(names['model']).weight - before).abs().max() > 1e-4
    network, x = names['model'].model.float().eval(), torch.rand(1, 3, 64, 64)
    old = network(x)[0]
    torch.testing.assert_close(network.fuse(verbose=False)(x)[0], old, rtol=1e-4, atol=1e-4)
