"""AttentionResNet: parameters, names, the plugin route, stages, wrong arguments."""

import argparse
import copy
import subprocess
import sys

import pytest
import torch
from attention_cases import ATTENTION, THETA
from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.config import Config, DictAction

from ge_det import AttentionResNet, GatherExcite, SqueezeExcite

# Trainable parameters of the whole classifiers at depth 50 and 101.
TOTALS = {
    'none': (25_557_032, 44_549_160),
    'se': (28_088_024, 49_326_872),
    'se-no-bias': (28_071_976, 49_292_328),
    'ge-theta-minus': (25_557_032, 44_549_160),
    'ge-theta-minus-e8': (25_557_032, 44_549_160),
    'ge-theta': (31_106_600, 53_545_512),
    'ge-theta-e2': (25_723_176, 44_906_792),
    'ge-theta-e4': (25_889_320, 45_264_424),
    'ge-theta-e8': (26_055_464, 45_622_056),
    'ge-theta-plus': (33_637_592, 58_323_224),
    'ge-theta-plus-e8': (28_586_456, 50_399_768),
    'sge': (25_559_080, 44_553_384),
    'sp-se': (28_480_728, 50_172_184),
    'rg-se': (28_212_440, 49_555_736),
}
CLASSIFIER = 2048 * 1000 + 1000

each_attention = pytest.mark.parametrize('name', ATTENTION)


def narrow(depth=50, **kwargs):
    return AttentionResNet(depth, base_channels=16, **kwargs)


@each_attention
@pytest.mark.parametrize('depth', [50, 101])
def test_parameter_totals(name, depth):
    backbone = AttentionResNet(depth, attention=ATTENTION[name])
    total = sum(p.numel() for p in backbone.parameters()) + CLASSIFIER
    assert total == TOTALS[name][depth == 101]


@each_attention
@pytest.mark.parametrize('depth', [18, 34, 50])
def test_forward_backward_at_every_depth(name, depth):
    attention = dict(ATTENTION[name], groups=16) if name == 'sge' else ATTENTION[name]
    backbone = narrow(depth, attention=attention, norm_eval=False)
    backbone.init_weights()
    outs = backbone(torch.randn(2, 3, 65, 97))
    expansion = 1 if depth < 50 else 4
    sizes = [(17, 25), (9, 13), (5, 7), (3, 4)]
    assert [tuple(out.shape) for out in outs] == [
        (2, expansion * 16 * 2**i, *size) for i, size in enumerate(sizes)
    ]
    assert copy.deepcopy(backbone).gates().keys() == backbone.gates().keys()
    units = {18: 8, 34: 16, 50: 16}[depth]
    assert len(backbone.gates()) == (units if ATTENTION[name] else 0)
    sum(out.square().mean() for out in outs).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in backbone.parameters())


@pytest.mark.parametrize('depth', [101, 152])
def test_deep_ones_run(depth):
    backbone = narrow(depth, attention=ATTENTION['sge']).eval()
    assert len(backbone(torch.randn(1, 3, 32, 32))) == 4


def plugin_route(attention, grids=None, **kwargs):
    stages = range(4)
    plugins = [
        dict(
            cfg=dict(attention, **(dict(grid=grids[i]) if grids else {})),
            stages=tuple(i == j for j in stages),
            position='after_conv3',
        )
        for i in stages
    ]
    return ResNet(50, base_channels=16, plugins=plugins, **kwargs)


@each_attention
def test_checkpoints_move_between_attention_and_plugins(name):
    attention = ATTENTION[name]
    if attention is None:
        theirs = ResNet(50, base_channels=16)
    else:
        grids = None
        if name in ('ge-theta', 'ge-theta-plus'):
            grids = [(56, 56), (28, 28), (14, 14), (7, 7)]
        elif name == 'rg-se':
            grids = [8, 4, 2, 1]
        theirs = plugin_route(attention, grids)
    ours = narrow(attention=attention)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in theirs.state_dict().items()
    }
    theirs.load_state_dict(ours.state_dict())
    theirs.eval()
    x = torch.randn(1, 3, 64, 96)
    for a, b in zip(ours.eval()(x), theirs(x), strict=True):
        torch.testing.assert_close(a, b)


def test_scoped_type_needs_no_import():
    code = (
        'from mmdet.registry import MODELS\n'
        'from mmdet.utils import register_all_modules\n'
        'register_all_modules(init_default_scope=True)\n'
        "MODELS.build(dict(type='ge_det.AttentionResNet', depth=18, attention=dict("
        "type='ge_det.SqueezeExcite')))\n"
        "plugin = dict(cfg=dict(type='ge_det.GatherExcite'), position='after_conv3')\n"
        "MODELS.build(dict(type='ResNet', depth=50, plugins=[plugin]))\n"
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def test_attention_switches_by_one_option_on_the_command_line():
    config = Config(dict(backbone=dict(type='ge_det.AttentionResNet', depth=18, base_channels=16)))
    config.merge_from_dict({'backbone.attention.type': 'ge_det.SqueezeExcite'})
    backbone = MMDET_MODELS.build(config.backbone)
    assert list(backbone.gates())[0] == 'layer1.0.se_layer'


def test_attention_none_by_an_option_on_the_command_line():
    backbone = dict(type='ge_det.AttentionResNet', depth=18, base_channels=16)
    config = Config(dict(backbone=dict(backbone, attention=ATTENTION['se'])))
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    options = parser.parse_args(['--cfg-options', 'backbone.attention=None'])
    config.merge_from_dict(options.cfg_options)
    assert not MMDET_MODELS.build(config.backbone).gates()


def test_attention_stages_choose_stages():
    backbone = narrow(attention=ATTENTION['ge-theta'], attention_stages=(False, True, False, True))
    assert {name.split('.')[0] for name in backbone.gates()} == {'layer2', 'layer4'}
    assert {gate.grid for gate in backbone.gates().values()} == {(28, 28), (7, 7)}


def test_stages_get_their_published_grid():
    grids = {
        name[5]: gate.grid for name, gate in narrow(attention=ATTENTION['rg-se']).gates().items()
    }
    assert grids == {'1': 8, '2': 4, '3': 2, '4': 1}
    grids = {name[5]: gate.grid for name, gate in narrow(attention=THETA).gates().items()}
    assert grids == {'1': (56, 56), '2': (28, 28), '3': (14, 14), '4': (7, 7)}
    given = narrow(attention=dict(THETA, grid=(5, 5))).gates().values()
    assert {gate.grid for gate in given} == {(5, 5)}


def test_three_stages_as_in_c4_detectors():
    backbone = narrow(
        attention=ATTENTION['se'],
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
    )
    assert len(backbone.gates()) == 13
    assert backbone(torch.randn(1, 3, 64, 64))[0].shape == (1, 256, 4, 4)


def test_other_plugins_stand_before_the_gate():
    context = dict(cfg=dict(type='ContextBlock', ratio=1 / 4), position='after_conv3')
    backbone = narrow(attention=ATTENTION['se'], plugins=[context])
    assert backbone.layer1[0].after_conv3_plugin_names == ['context_block', 'se_layer']


def test_basic_block_takes_plugins_and_refuses_a_third_convolution():
    plugins = [dict(cfg=dict(type='ge_det.SpatialGroupEnhance', groups=4), position='after_conv1')]
    backbone = narrow(18, plugins=plugins)
    assert backbone.layer1[0].plugin_names == dict(after_conv1=['sge'], after_conv2=[])
    with pytest.raises(ValueError, match="position='after_conv3' .* ResNet-18 and 34"):
        narrow(18, plugins=[dict(plugins[0], position='after_conv3')])
    with pytest.raises(ValueError, match="two plugins are called 'sge'"):
        narrow(18, plugins=plugins * 2)


@pytest.mark.parametrize('depth', [18, 50])
def test_activation_checkpointing_gives_the_same_gradients(depth):
    attention = dict(ATTENTION['sge'], groups=16)
    plain = narrow(depth, attention=attention)
    checkpointed = narrow(depth, attention=attention, with_cp=True)
    checkpointed.load_state_dict(plain.state_dict())
    x = torch.randn(1, 3, 64, 64)
    for backbone in (plain, checkpointed):
        backbone(x)[-1].square().sum().backward()
    for a, b in zip(plain.parameters(), checkpointed.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_a_class_of_ours_by_name():
    backbone = AttentionResNet(18, attention='SqueezeExcite', base_channels=16)
    assert isinstance(backbone.layer1[0].se_layer, SqueezeExcite)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(depth=51), 'depth=51 .* 18, 34, 50, 101, 152'),
        (dict(depth='50'), "depth='50' .* 18, 34, 50, 101, 152"),
        (dict(depth=[50]), r'depth=\[50\] .* 18, 34, 50, 101, 152'),
        (dict(frozen_stages=5), 'frozen_stages=5 .* -1, 0, 1, 2, 3, 4'),
        (dict(attention=dict(type=3)), 'type 3 is not a block'),
        (dict(attention=dict(type='ge_det.AttentionResNet')), 'is not a block'),
        (dict(attention=ATTENTION['se'], attention_stages='none'), "attention_stages='none'"),
        (dict(attention_stages='none'), "attention_stages='none'"),
        (dict(pretrained=dict(checkpoint='a', strict='no')), "strict='no' .* bool"),
        (dict(attention='cbam'), "attention 'cbam': no such block"),
        (dict(attention=3), 'attention=3 .* short name such as .* dict with a type'),
        (dict(attention=dict(ratio=4)), 'attention=.* dict with a type'),
        (
            dict(attention=dict(type='ge_det.SE')),
            "type 'ge_det.SE' is not a block: .*SqueezeExcite",
        ),
        (
            dict(attention=dict(type='ge_det.SqueezeExcite', variant='theta', extent=8)),
            'not take extent, variant; it takes bias, postfix, ratio. .*attention=dict.*_delete_',
        ),
        (dict(attention=ATTENTION['se'], attention_stages=(True,)), r'attention_stages=\(True,\)'),
        (dict(pretrained=3), 'pretrained=3 .* path, a URL, a model name, or a dict'),
        (dict(pretrained=dict(checkpoint='a', stric=True)), 'does not take stric; it takes'),
    ],
)
def test_wrong_arguments_name_themselves(kwargs, message):
    with pytest.raises(ValueError, match=message):
        AttentionResNet(**dict(dict(depth=50), **kwargs))


def test_blocks_serve_without_mmdet():
    code = (
        'import sys\n'
        "sys.modules['mmdet'] = sys.modules['mmpretrain'] = None\n"
        'from ge_det.blocks import GatherExcite, SqueezeExcite\n'
        'import torch\n'
        'print(SqueezeExcite(32)(torch.randn(1, 32, 4, 4)).shape)\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def test_public_names_come_from_the_package():
    import ge_det

    assert ge_det.GatherExcite is GatherExcite
    assert {'AttentionResNet', 'ContextShapes', 'ResolutionGuidedSE'} <= set(dir(ge_det))
    with pytest.raises(AttributeError, match='no attribute'):
        ge_det.Nothing  # noqa: B018
