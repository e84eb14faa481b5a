"""Every block as a plugin of mmdet's own backbones."""

import mmdet.models  # noqa: F401  Registers the backbones.
import pytest
import torch
from attention_cases import ATTENTION
from mmdet.registry import MODELS as MMDET_MODELS

from ge_det.registry import MODELS

PLUGIN_BACKBONES = {
    'ResNet': dict(type='ResNet', depth=50, base_channels=16),
    'ResNeXt': dict(type='ResNeXt', depth=50, base_channels=16, groups=4, base_width=4),
    'Res2Net': dict(type='Res2Net', depth=50, base_channels=16, scales=2, base_width=26),
    'RegNet': dict(
        type='RegNet', arch=dict(w0=24, wa=24.48, wm=2.54, group_w=16, depth=22, bot_mul=1.0)
    ),
    'ResNeSt': dict(type='ResNeSt', depth=50, base_channels=16, radix=2, reduction_factor=4),
}


@pytest.mark.parametrize('backbone', PLUGIN_BACKBONES)
@pytest.mark.parametrize('name', [name for name in ATTENTION if name != 'none'])
def test_every_block_is_a_plugin_of_mmdets_backbones(name, backbone):
    attention = dict(ATTENTION[name], postfix='')
    if name == 'sge':
        attention['groups'] = 8  # RegNet's widths are multiples of 8
    if name in ('ge-theta', 'ge-theta-plus'):
        attention['grid'] = (7, 7)
    plugins = [dict(cfg=attention, position='after_conv3')]
    model = MMDET_MODELS.build(dict(PLUGIN_BACKBONES[backbone], plugins=plugins, norm_eval=False))
    model.init_weights()
    outs = model(torch.randn(2, 3, 64, 64))
    sum(out.mean() for out in outs).backward()
    block = MODELS.get(attention['type'])
    gates = [p for key, p in model.named_parameters() if f'.{block._abbr_}.' in key]
    assert bool(gates) == (block.weightless_kind(ATTENTION[name]) is None)
    assert all(p.grad is not None for p in gates)
