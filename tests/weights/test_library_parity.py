"""Real networks of the sources, saved as they save them, imported here: the same outputs."""

import copy

import pytest
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.runner import save_checkpoint
from random_networks import images, randomise

from ge_det import AttentionResNet
from ge_det.errors import CheckpointError
from ge_det.weights.importing import import_pretrained

SIZES = ((64, 64), (97, 131))
SE = dict(type='ge_det.SqueezeExcite')
TOLERANCE = 1e-5

pytestmark = pytest.mark.usefixtures('peers')


def by_backbone(pretrained, **kwargs):
    backbone = AttentionResNet(pretrained=pretrained, **kwargs)
    backbone.init_weights()
    return backbone.eval(), backbone.load_report


def by_plugin(pretrained, depth, attention=None, **kwargs):
    plugins = [dict(cfg=attention, position='after_conv3')] if attention else None
    backbone = MMDET_MODELS.build(dict(type='ResNet', depth=depth, plugins=plugins, **kwargs))
    report = import_pretrained(backbone, **pretrained)
    backbone.eval()
    return backbone, report


def assert_same_outputs(backbone, expected):
    modules = copy.deepcopy(backbone)
    modules.fused = False
    for size in SIZES:
        with torch.no_grad():
            outputs = [network(images(size)) for network in (expected, modules, backbone)]
        assert all(len(maps) == 4 for maps in outputs)
        for theirs, ours, fused in zip(*outputs, strict=True):
            assert theirs.abs().mean() > 0.01  # a comparison of zeros would mean nothing
            assert (ours - theirs).abs().max() <= TOLERANCE
            # Another order of operations rounds otherwise.
            assert (fused - theirs).norm() <= 5 * TOLERANCE * theirs.norm()


def mmpretrain_classifier(kind, depth, **width):
    import mmpretrain.models  # noqa: F401
    from mmpretrain.registry import MODELS

    channels = width.get('base_channels', 64) * (8 if depth < 50 else 32)
    return MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(type=kind, depth=depth, out_indices=(0, 1, 2, 3), **width),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=5, in_channels=channels),
        )
    )


NARROW = dict(stem_channels=16, base_channels=16)


@pytest.mark.parametrize('build', [by_backbone, by_plugin])
@pytest.mark.parametrize(
    ('kind', 'depth', 'width'),
    [
        ('SEResNet', 50, {}),
        # Narrower still, its gates would be wider: mmpretrain rounds up to multiples of 8.
        ('SEResNet', 101, dict(stem_channels=32, base_channels=32)),
        *(('ResNet', depth, NARROW) for depth in (18, 34, 50, 101)),
    ],
)
def test_mmpretrain(kind, depth, width, build, tmp_path):
    classifier = mmpretrain_classifier(kind, depth, **width)
    randomise(classifier.backbone)
    path = tmp_path / 'epoch_1.pth'
    save_checkpoint(dict(meta=dict(epoch=1), state_dict=classifier.state_dict()), str(path))
    attention = SE if kind == 'SEResNet' else None
    pretrained = dict(checkpoint=str(path), source='mmpretrain')
    backbone, report = build(pretrained, depth=depth, attention=attention, **width)
    assert_same_outputs(backbone, classifier.backbone)
    assert (report.missing_trunk, report.wrong_shape, report.unexpected) == ([], {}, [])
    assert report.other_parts == dict(head=2)
    assert report.parameter_share == 1.0
    blocks = {18: 8, 34: 16, 50: 16, 101: 33}[depth]
    assert len(report.loaded_gates) == (blocks if attention else 0)
    assert not report.fresh_gates


def timm_stages(network):
    def forward(x):
        if hasattr(network, 'layer0'):
            x = network.pool0(network.layer0(x))
        else:
            x = network.maxpool(network.act1(network.bn1(network.conv1(x))))
        outputs = []
        for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
            x = stage(x)
            outputs.append(x)
        return outputs

    return forward


@pytest.mark.parametrize(
    ('name', 'suffix', 'kwargs'),
    [
        ('resnet18', '.pth', dict(depth=18)),
        ('resnet50', '.safetensors', dict(depth=50)),
        ('seresnet50', '.pth', dict(depth=50, attention=SE)),
        (
            'legacy_seresnet50',
            '.safetensors',
            dict(depth=50, attention=SE, style='caffe', stem_pool='ceil'),
        ),
    ],
)
def test_timm(name, suffix, kwargs, tmp_path):
    import timm
    from safetensors.torch import save_file

    network = randomise(timm.create_model(name))
    path = tmp_path / f'model{suffix}'
    (save_file if suffix == '.safetensors' else torch.save)(network.state_dict(), path)
    backbone, report = by_backbone(dict(checkpoint=str(path), source='timm'), **kwargs)
    assert_same_outputs(backbone, timm_stages(network))
    assert (report.missing_trunk, report.wrong_shape) == ([], {})
    assert {key.split('.')[0] for key in report.unexpected} <= {'fc', 'last_linear'}
    assert not report.fresh_gates
    assert not report.notes

    guessed, _ = by_backbone(str(path), **kwargs)  # the source told by the names
    for key, value in guessed.state_dict().items():
        torch.testing.assert_close(value, backbone.state_dict()[key], rtol=0, atol=0)


def test_legacy_weights_insist_on_their_strides(tmp_path):
    import timm

    torch.save(timm.create_model('legacy_seresnet50').state_dict(), tmp_path / 'legacy.pth')
    pretrained = dict(checkpoint=str(tmp_path / 'legacy.pth'), source='timm')
    with pytest.raises(CheckpointError, match="needs style='caffe'"):
        by_backbone(pretrained, depth=50, attention=SE)
    _, report = by_backbone(pretrained, depth=50, attention=SE, style='caffe')
    assert any("stem_pool='ceil'" in note for note in report.notes)


def test_legacy_basic_units_are_refused(tmp_path):
    import timm

    torch.save(timm.create_model('legacy_seresnet18').state_dict(), tmp_path / 'legacy.pth')
    with pytest.raises(CheckpointError, match='have a ReLU before each gate'):
        by_backbone(str(tmp_path / 'legacy.pth'), depth=18, attention=SE)


def test_torchvision(tmp_path):
    from torchvision.models import resnet50

    network = randomise(resnet50())
    torch.save(network.state_dict(), tmp_path / 'resnet50.pth')
    backbone, report = by_backbone(
        dict(checkpoint=str(tmp_path / 'resnet50.pth'), source='torchvision'), depth=50
    )
    network.act1 = network.relu
    assert_same_outputs(backbone, timm_stages(network))
    assert report.unexpected == ['fc.weight', 'fc.bias']


def test_published_urls_are_torchvisions():
    from torchvision.models import get_model_weights

    from ge_det.weights.sources import SOURCES

    for depth in (18, 34, 50, 101, 152):
        for weights in get_model_weights(f'resnet{depth}'):
            name = f'resnet{depth}.{weights.name.lower()}'
            assert SOURCES['torchvision'].locate(name) == weights.url
            assert SOURCES['torchvision'].locate(str(weights)) == weights.url


def test_legacy_urls_are_timms():
    import timm

    from ge_det.weights.sources import SOURCES

    for depth in (50, 101, 152):
        name = f'legacy_seresnet{depth}.in1k'
        theirs = timm.get_pretrained_cfg(name).url.replace('rwightman', 'huggingface')
        assert SOURCES['timm'].locate(name) == theirs
