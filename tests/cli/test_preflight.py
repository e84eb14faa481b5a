"""Checkpoints of another model are refused before anything runs."""

import pytest
import torch

from ge_det import AttentionResNet
from ge_det.cli.openmmlab import check_model
from ge_det.cli.preflight import build_without_memory
from ge_det.errors import UserError

CONFIG = """
_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
model = dict(
    backbone=dict(
        type='ge_det.AttentionResNet',
        init_cfg=None,
        base_channels=16,
        attention=dict(type='ge_det.SpatialGroupEnhance'),
    ),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=16),
    bbox_head=dict(in_channels=16, feat_channels=16),
)
"""
SWAPPED = {'model.backbone.attention.type': 'ge_det.SqueezeExcite'}


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp('preflight') / 'my.py'
    path.write_text(CONFIG)
    return str(path)


@pytest.fixture(scope='module')
def checkpoint(config):
    model = build_without_memory(config).to_empty(device='cpu')
    for tensor in model.state_dict().values():
        tensor.fill_(1)
    path = config.replace('my.py', 'epoch_1.pth')
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


def test_its_own_checkpoint_fits(config, checkpoint):
    check_model(config, checkpoint=checkpoint)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (SWAPPED, r"64 tensors are missing, the first 'backbone.layer1.0.se_layer.*are left over"),
        (
            {'model.backbone.depth': 101},
            'missing.*layer3.6.*holds a ResNet-50, this backbone is a ResNet-101',
        ),
        (
            {'model.bbox_head.num_classes': 3},
            '2 tensors are of another shape.*another number of classes',
        ),
    ],
    ids=['block', 'depth', 'classes'],
)
def test_a_checkpoint_of_another_model_is_refused(config, checkpoint, options, message):
    with pytest.raises(UserError, match=message) as caught:
        check_model(config, options, checkpoint)
    assert '\n' not in str(caught.value)


def test_a_wrong_argument_of_the_model_is_one_line(config):
    options = {'model.backbone.attention.groups': 7}
    with pytest.raises(UserError, match='groups=7 is not allowed with in_channels=64') as caught:
        check_model(config, options)
    assert '\n' not in str(caught.value)


def test_a_config_without_a_model(tmp_path):
    (tmp_path / 'empty.py').write_text('x = 1\n')
    with pytest.raises(UserError, match='there is no model in it'):
        check_model(str(tmp_path / 'empty.py'))


def test_what_cannot_be_checked_is_left_to_the_tool(tmp_path, capsys):
    """As a network that the meta device cannot hold."""
    text = "model = dict(type='ResNet', depth=18, strides=3)\n"
    (tmp_path / 'odd.py').write_text(text)
    check_model(str(tmp_path / 'odd.py'))
    assert 'not checked beforehand (TypeError' in capsys.readouterr().out


@pytest.fixture(scope='module')
def resnet18(tmp_path_factory):
    path = tmp_path_factory.mktemp('start') / 'resnet18.pth'
    torch.save(AttentionResNet(18, base_channels=16).state_dict(), path)
    return str(path)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        (
            'pretrained',
            'does not fit this backbone.*holds a ResNet-18, this backbone is a ResNet-50',
        ),
        ('load_from', 'only 0 of the model.s .* weights of a backbone alone go to its pretrained='),
    ],
)
def test_weights_a_training_cannot_start_from_are_refused(config, resnet18, option, message):
    key = 'load_from' if option == 'load_from' else 'model.backbone.pretrained'
    with pytest.raises(UserError, match=message) as caught:
        check_model(config, {key: resnet18}, is_start=True)
    assert '\n' not in str(caught.value)
    check_model(config, {key: resnet18})  # Testing does without.
    with pytest.raises(UserError, match='there is no such file'):
        check_model(config, {key: './none.pth'}, is_start=True)


def test_a_training_may_start_from_another_head(config, checkpoint):
    options = {'load_from': checkpoint, 'model.bbox_head.num_classes': 3}
    check_model(config, options, is_start=True)


@pytest.mark.parametrize(
    'options',
    [
        {'model.backbone.depth': 18, 'model.backbone.attention': None},
        {'model.backbone.in_channels': 4},
        {'model.backbone.base_channels': 32},
        {'model.neck.in_channels': [64, 128, 256, 256]},
    ],
)
def test_a_backbone_and_a_neck_that_do_not_go_together_are_one_line(config, options):
    with pytest.raises(UserError, match='a picture does not pass the backbone and neck') as caught:
        check_model(config, options)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('prepare', ['DetDataPreprocessor', 'ge_det.ValidAreaPreprocessor'])
def test_sizes_that_nothing_tells(config, prepare, capsys):
    options = {'model.backbone.valid_area': True, 'model.data_preprocessor.type': prepare}
    check_model(config, options)
    told = capsys.readouterr().err
    assert (prepare == 'DetDataPreprocessor') == told.startswith('note: backbone.valid_area=True')
    assert told.count('\n') == told.count('model.data_preprocessor.type=ge_det.ValidArea')
