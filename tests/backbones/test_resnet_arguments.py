"""What mmdet's ResNet would assert, ignore or fail at later is one line that names the argument."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models import ResNet

from ge_det import AttentionResNet, GatherExcite, SqueezeExcite
from ge_det.backbones import frozen_plugins

CONTEXT = dict(cfg=dict(type='ContextBlock', ratio=0.25), position='after_conv2')
SMALL = dict(depth=50, base_channels=4)


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(strides=(1, 2)), r'strides=\(1, 2\) .* one positive integer .* 4 stages'),
        (dict(strides=(1, 2, 0, 2)), 'strides='),
        (dict(strides='1222'), "strides='1222'"),
        (dict(dilations=(1, 1, 1, -1)), 'dilations='),
        (dict(num_stages=2, dilations=(1, 1, 1)), 'dilations=.*num_stages=2'),
        (dict(num_stages=0), 'num_stages=0 .* 1, 2, 3, 4'),
        (dict(num_stages=5), 'num_stages=5'),
        (dict(num_stages='4'), "num_stages='4'"),
        (dict(out_indices=(4,)), r'out_indices=\(4,\) .* 0, 1, 2, 3'),
        (dict(out_indices=(-1,)), 'out_indices='),
        (dict(out_indices=()), 'out_indices='),
        (dict(out_indices=3), 'out_indices=3'),
        (dict(out_indices=(2, 1)), 'ascending'),
        (dict(out_indices=(1, 1)), 'ascending'),
        (dict(in_channels=0), 'in_channels=0 .* positive integer'),
        (dict(in_channels='3'), "in_channels='3'"),
        (dict(stem_channels=-1), 'stem_channels=-1'),
        (dict(base_channels=1.5), 'base_channels=1.5'),
        (dict(style='torch'), "style='torch' .* 'pytorch', 'caffe'"),
        (dict(deep_stem='yes'), "deep_stem='yes' .* True, False"),
        (dict(deep_stem=True, stem_channels=7), 'deep_stem=True .* 7 channels'),
        (dict(avg_down=1), 'avg_down=1'),
        (dict(norm_eval=None), 'norm_eval=None'),
        (dict(with_cp=0), 'with_cp=0'),
        (dict(zero_init_residual='no'), 'zero_init_residual='),
        (dict(norm_cfg=None), 'norm_cfg=None .* dict with a type'),
        (dict(conv_cfg='Conv2d'), "conv_cfg='Conv2d'"),
        (dict(norm_cfg=dict(type='BNN')), "norm_cfg: there is no 'BNN' in .* did you mean BN"),
        (dict(conv_cfg=dict(type='Conv2D')), "conv_cfg: there is no 'Conv2D' .* mean .*Conv2d"),
        (dict(dcn=dict(type='DCNv3')), "dcn: there is no 'DCNv3' .* DCNv2"),
        (
            dict(plugins=[dict(CONTEXT, cfg=dict(type='ContextBlok'))]),
            "cfg of plugins: there is no 'ContextBlok' .* mean ContextBlock",
        ),
        (dict(dcn=True), 'dcn=True'),
        (dict(depth=18, dcn=dict(type='DCNv2')), 'dcn .* depth=18'),
        (dict(stage_with_dcn=(True,)), 'stage_with_dcn='),
        (dict(plugins=CONTEXT), 'plugins=.* list of dicts'),
        (dict(plugins=[dict(cfg=CONTEXT['cfg'])]), 'plugins holds .* cfg, position'),
        (dict(plugins=[dict(CONTEXT, postion=1)]), 'plugins holds'),
        (dict(plugins=[dict(CONTEXT, position='conv2')]), "position='conv2' .* 'after_conv3'"),
        (dict(plugins=[dict(CONTEXT, stages=(True,))]), 'stages of plugins='),
        (dict(plugins=[dict(CONTEXT, cfg='ContextBlock')]), 'cfg of plugins='),
        (dict(plugins=[dict(CONTEXT, cfg=dict(CONTEXT['cfg'], postfix=None))]), 'postfix=None'),
        (dict(attention=dict(type='ge_det.GatherExcite', postfix='a.b')), "postfix='a.b' .* dots"),
        (dict(plugins=[CONTEXT, CONTEXT]), 'context_block.* give one of .* postfix'),
        (dict(depth=18, plugins=[CONTEXT, CONTEXT]), "'context_block.* give one of .* postfix"),
        (dict(stride=(1, 2, 2, 2)), 'does not take stride; .* strides, dilations'),
    ],
    ids=str,
)
def test_wrong_arguments_are_one_line(kwargs, message):
    with pytest.raises(ValueError, match=message) as error:
        AttentionResNet(**{**SMALL, **kwargs})
    assert '\n' not in str(error.value)


values = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 5), st.floats(), st.text(max_size=3),
    st.lists(st.one_of(st.integers(-1, 4), st.booleans()), max_size=5), st.just({}),
)  # fmt: skip
NAMES = [
    'in_channels', 'stem_channels', 'base_channels', 'num_stages', 'strides', 'dilations',
    'out_indices', 'style', 'deep_stem', 'avg_down', 'frozen_stages', 'conv_cfg', 'norm_cfg',
    'norm_eval', 'dcn', 'stage_with_dcn', 'plugins', 'with_cp', 'zero_init_residual', 'depth',
]  # fmt: skip


@settings(max_examples=150, deadline=None, database=None)
@given(name=st.sampled_from(NAMES), value=values)
def test_any_value_of_an_argument_works_or_is_named(name, value):
    arguments = {**SMALL, 'depth': 18, name: value}
    try:
        network = AttentionResNet(**arguments)
    except ValueError as error:
        assert name in str(error) and '\n' not in str(error)
        return
    with torch.no_grad():
        channels = value if name == 'in_channels' else 3
        outputs = network.eval()(torch.zeros(1, channels, 33, 33))
    assert len(outputs) == len(network.out_indices)


@pytest.mark.parametrize('stages', [1, 2, 3])
def test_arguments_by_stage_follow_the_number_of_stages(stages):
    network = AttentionResNet(
        attention=dict(type='ge_det.GatherExcite'), num_stages=stages, **SMALL
    )
    assert len(network.eval()(torch.zeros(1, 3, 32, 32))) == stages


def warnings_of(make):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('default')
        make().train()
    return [str(w.message) for w in caught if 'never learn' in str(w.message)]


def test_gates_in_frozen_stages_of_mmdets_resnet_are_told_once():
    plugins = [dict(cfg=dict(type='ge_det.SqueezeExcite', ratio=4), position='after_conv3')]
    frozen = dict(SMALL, plugins=plugins, frozen_stages=2)
    (text,) = warnings_of(lambda: ResNet(**frozen))
    assert 'lower frozen_stages, or use AttentionResNet' in text

    def loaded():
        network = ResNet(**frozen)
        network.load_state_dict(network.state_dict())
        return network

    silent = (
        loaded,
        lambda: ResNet(**dict(frozen, frozen_stages=-1)),
        lambda: AttentionResNet(**frozen),
        lambda: AttentionResNet(**frozen, freeze_gates=True),
        lambda: GatherExcite(8).requires_grad_(False),
    )
    assert [warnings_of(make) for make in silent] == [[]] * len(silent)
    assert warnings_of(lambda: SqueezeExcite(16).requires_grad_(False))


@pytest.mark.parametrize('depth', [18, 50])
def test_other_plugins_in_frozen_stages_are_told_once(depth, monkeypatch):
    lines = []
    monkeypatch.setattr(frozen_plugins, 'print_log', lambda text, **_: lines.append(text))
    arguments = dict(SMALL, depth=depth, plugins=[CONTEXT], frozen_stages=1, pretrained=None)
    gated = AttentionResNet(attention=dict(type=SqueezeExcite, ratio=4), **arguments)
    gated.init_weights()
    AttentionResNet(**dict(arguments, frozen_stages=-1)).init_weights()
    later = [dict(CONTEXT, stages=(False, True, True, True))]
    AttentionResNet(**dict(arguments, plugins=later)).init_weights()
    (text,) = lines
    assert text.startswith(f'{2 if depth == 18 else 3} plugins (ContextBlock)')
    assert 'lower frozen_stages' in text
