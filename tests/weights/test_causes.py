"""A file that does not fit is told from the others that do not: the cause and the remedy."""

import functools

import pytest
import torch

from ge_det import AttentionResNet
from ge_det.errors import CheckpointError
from ge_det.weights.importing import import_pretrained
from ge_det.weights.sources import locate


@functools.cache
def weights(depth=18, **options):
    network = AttentionResNet(depth, base_channels=4, **options)
    network.init_weights()
    return {
        key: value + 0.25 if key.endswith(('mean', 'var')) else value
        for key, value in network.state_dict().items()
    }


def imported(state, folder, name='weights.pth', depth=18, **options):
    torch.save(state, folder / name)
    backbone = AttentionResNet(depth, base_channels=4, **options)
    return import_pretrained(backbone, str(folder / name), preserve_function=False)


def fused(state):
    """As ``fuse_conv_bn`` leaves it: convolutions with a bias, no normalisation."""
    kept = {k: v for k, v in state.items() if 'bn' not in k and 'downsample.1' not in k}
    biases = {k.replace('weight', 'bias'): v[:, 0, 0, 0] for k, v in kept.items()}
    return kept | biases


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: weights(34), 'holds a ResNet-34, this backbone is a ResNet-18'),
        (lambda: weights(in_channels=1), '1 channels and this backbone of 3: in_channels=1 of'),
        (lambda: weights(deep_stem=True), 'deep stem of a ResNet-C or ResNet-D'),
        (lambda: fused(weights()), 'folded into the convolutions, as by fuse_conv_bn; give the'),
        (
            lambda: AttentionResNet(18, base_channels=8).state_dict(),
            'the file has base_channels=8, this backbone 4',
        ),
        (
            lambda: {k: v for k, v in weights().items() if k != 'conv1.weight'},
            "1 tensor is missing, the first 'conv1.weight'",
        ),
        (
            lambda: {k: v for k, v in weights().items() if not k.startswith('layer4.1.bn2')},
            "missing, the first 'layer4.1.bn2.weight'",
        ),
        (
            lambda: {**weights(), 'bn1.weight': weights()['bn1.weight'].int()},
            "'bn1.weight' is int32, not floating point",
        ),
        (
            lambda: {'backbone.bottom_up.res2.0.conv1.weight': torch.ones(1, 1, 1, 1)},
            'names are those of Detectron2; mmdet.s detectron2_to_mmdet.py converts it',
        ),
        (lambda: {'res2a_branch2a_weight': torch.ones(1)}, 'those of Caffe'),
        (lambda: {'features.0.weight': torch.ones(1)}, 'another architecture or from another lib'),
    ],
)
def test_the_cause_is_named(make, message, tmp_path):
    with pytest.raises(CheckpointError, match=message) as caught:
        imported(make(), tmp_path)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'name', ['resnet50_caffe-x.pth', 'faster_rcnn_r50_caffe_fpn_1x.pth', 'resnet50_msra.pth']
)
def test_weights_of_caffe_by_name(name, tmp_path):
    with pytest.raises(CheckpointError, match="the backbone needs style='caffe'"):
        imported(weights(50), tmp_path, name, depth=50)
    notes = imported(weights(50), tmp_path, name, depth=50, style='caffe').notes
    assert any('BGR pictures: data_preprocessor with mean=[103.53' in note for note in notes)
    assert not imported(weights(50), tmp_path, 'decaffeinated.pth', depth=50).notes


def test_folded_normalisations_are_told(tmp_path):
    folded = {
        key: torch.full_like(value, float(key.endswith('var'))) if 'running' in key else value
        for key, value in weights(50).items()
    }
    [note] = imported(folded, tmp_path, depth=50).notes
    assert "style='caffe' in the backbone" in note and 'never trained' in note


@pytest.mark.parametrize('name', ['x', 'wieghts', 'resnet50_8xb32_in1', 'my_detector'])
def test_a_typing_error_names_few_models(name):
    with pytest.raises(CheckpointError, match='neither a file nor a model') as caught:
        locate(name)
    assert len(str(caught.value)) < 250
