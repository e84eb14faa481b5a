"""``pretrained=`` of AttentionResNet: which gates count as loaded, and where the report goes."""

import json

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.logging import MMLogger
from mmengine.model import Sequential
from narrow_networks import SE, THETA_MINUS, initialised, narrow, outputs
from random_networks import images

from ge_det.errors import CheckpointError
from ge_det.weights.importing import import_pretrained


def test_preserving_is_the_default(plain, file):
    backbone = initialised(attention=SE, pretrained=file).eval()
    with torch.no_grad():
        for a, b in zip(backbone(images((64, 64))), plain(images((64, 64))), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_report_is_kept_beside_the_log(file, tmp_path):
    name = f'run-{tmp_path.name}'
    (tmp_path / 'run' / 'now').mkdir(parents=True)
    MMLogger.get_instance(name, log_file=str(tmp_path / 'run' / 'now' / 'now.log'))
    try:
        backbone = initialised(attention=SE, pretrained=file)
        log = (tmp_path / 'run' / 'now' / 'now.log').read_text()
    finally:
        MMLogger.get_instance('after')
    kept = json.loads((tmp_path / 'run' / 'now' / 'load_report.json').read_text())
    assert kept == backbone.load_report.to_dict()
    assert len(kept['fresh_gates']) == 16
    assert kept['trunk_share'] == 1.0 > kept['parameter_share']
    assert kept['sha256'] in log
    assert 'missing trunk' in log


def test_pretrained_replaces_mmengines_initializer(file):
    # As in a config that inherits mmdet's and changes nothing but type and pretrained.
    init_cfg = dict(type='Pretrained', checkpoint='torchvision://resnet50')
    backbone = initialised(attention=SE, pretrained=file, init_cfg=init_cfg)
    assert backbone.load_report.trunk_share == 1.0
    other = [dict(type='Constant', val=0.5, layer='BatchNorm2d'), init_cfg]
    kept = narrow(pretrained=file, init_cfg=other).init_cfg
    assert kept == other[:1]


@pytest.mark.parametrize(
    ('text', 'loaded'),
    [
        ("model = dict(backbone=dict(attention=dict(type='ge_det.GatherExcite', extent=8)))", True),
        ("model = {'backbone': {'attention': {'type': 'GatherExcite', 'extent': 8}}}", True),
        ("a=dict(attention=dict(type='ge_det.GatherExcite', extent=4))", 'lost'),
        ("a=dict(attention=dict(type='ge_det.GatherExcite', extent=8, variant='theta'))", False),
        ("a=dict(attention=dict(type='ge_det.SqueezeExcite'))", False),
        ("open('ran', 'w')\na=dict(cfg=dict(type='ge_det.GatherExcite', extent=8))", True),
        ('not python (', False),
        (3, False),
    ],
)
def test_theta_minus_is_told_by_the_config_in_the_file(text, loaded, plain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = dict(meta=dict(cfg=text), state_dict=plain.state_dict())
    torch.save(content, tmp_path / 'trained.pth')
    pretrained = dict(checkpoint=str(tmp_path / 'trained.pth'))
    if loaded == 'lost':  # gates that this network has not
        with pytest.raises(CheckpointError, match="was trained with 'GatherExcite theta_minus 4'"):
            initialised(attention=THETA_MINUS, pretrained=pretrained)
        return
    backbone = initialised(attention=THETA_MINUS, pretrained=pretrained)
    assert bool(backbone.load_report.loaded_gates) == loaded
    if loaded:  # trained with its gates, so nothing is to be made up for
        assert backbone.load_report.preserved.approximate == []
        for key, value in plain.state_dict().items():
            torch.testing.assert_close(backbone.state_dict()[key], value, rtol=0, atol=0)
    assert not (tmp_path / 'ran').exists()  # the config is read, never run


def test_theta_minus_in_some_stages(plain, tmp_path):
    config = (
        "model = dict(backbone=dict(attention=dict(type='ge_det.GatherExcite', extent=8), "
        'attention_stages=(False, False, True, True)))'
    )
    torch.save(dict(meta=dict(cfg=config), state_dict=plain.state_dict()), tmp_path / 'x.pth')
    backbone = initialised(attention=THETA_MINUS, pretrained=str(tmp_path / 'x.pth'))
    stages = {name.split('.')[0] for name in backbone.load_report.loaded_gates}
    assert stages == {'layer3', 'layer4'}
    assert len(backbone.load_report.fresh_gates) == 3 + 4


@pytest.mark.parametrize(
    'meta',
    [
        dict(cfg='-' * 200_000 + '1'),
        dict(cfg='(' * 5000),
        dict(cfg='x = 1\n' * 500_000),
        dict(ge_det=dict(gates=[3], network=7)),
        dict(ge_det=dict(gates=dict(a=dict(state=[])), network=dict(style=np.zeros(2)))),
    ],
    ids=['minus', 'parentheses', 'long', 'no-mappings', 'no-texts'],
)
def test_odd_notes_in_a_file_do_no_harm(meta, plain, tmp_path):
    torch.save(dict(meta=meta, state_dict=plain.state_dict()), tmp_path / 'x.pth')
    initialised(attention=SE, pretrained=str(tmp_path / 'x.pth'))


def test_the_function_settles_what_follows_the_trunk(plain, tmp_path):
    trained = initialised(attention=SE)
    torch.save(trained.state_dict(), tmp_path / 'se.pth')
    backbone = initialised(attention=SE, frozen_stages=1)
    gate = backbone.layer1[0].se_layer.conv1.conv.weight
    assert gate.requires_grad
    import_pretrained(backbone, str(tmp_path / 'se.pth'))
    assert not gate.requires_grad
    import_pretrained(backbone, str(tmp_path / 'plain.pth'), preserve_function=False)
    assert gate.requires_grad
    import_pretrained(backbone, str(tmp_path / 'plain.pth'))
    assert not gate.requires_grad


def test_an_import_is_not_undone_by_the_runner(plain, file):
    plugins = [dict(cfg=SE, position='after_conv3')]
    backbone = MODELS.build(dict(type='ResNet', depth=50, base_channels=16, plugins=plugins))
    import_pretrained(backbone, file)
    model = Sequential(backbone)
    model.init_weights()  # as the Runner does before training
    for x, y in zip(outputs(backbone), outputs(plain), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-5)


def test_modes_set_by_hand_survive(file):
    plugin = MODELS.build(dict(type='ResNet', depth=50, base_channels=16))
    plugin.train()
    plugin.layer3.eval()
    import_pretrained(plugin, file)
    assert plugin.training and not plugin.layer3.training


def test_a_file_that_cannot_tell_is_noted(plain, file):
    backbone = initialised(attention=THETA_MINUS, pretrained=dict(source='ge_det', checkpoint=file))
    assert any('set preserve_function=False' in note for note in backbone.load_report.notes)


@pytest.mark.parametrize(
    ('key', 'change'),
    [
        ('layer2.0.conv1.weight', lambda value: value * float('nan')),
        ('layer2.0.conv1.weight', lambda value: value.double() * 1e300),
        ('layer2.0.conv1.weight', lambda value: value.to(torch.complex64)),
        ('layer2.0.conv1.weight', lambda value: value > 0),
        ('layer2.0.bn1.running_var', lambda value: -value),
    ],
    ids=['nan', 'overflow', 'complex', 'bool', 'negative-variance'],
)
def test_broken_weights_are_refused(key, change, plain, tmp_path):
    state = plain.state_dict()
    state[key] = change(state[key])
    torch.save(state, tmp_path / 'bad.pth')
    with pytest.raises(CheckpointError, match=f"'{key}' (holds|is) "):
        initialised(pretrained=str(tmp_path / 'bad.pth'))


def test_a_second_import_scales_only_what_it_loaded(plain, file, tmp_path):
    state = {k: v for k, v in plain.state_dict().items() if '.bn3.' not in k}
    torch.save(state, tmp_path / 'cut.pth')
    backbone = initialised(attention=SE, pretrained=file)
    report = import_pretrained(backbone, str(tmp_path / 'cut.pth'), strict=False)
    assert set(report.preserved.impossible.values()) == {
        'the normalisation before it was not loaded'
    }
    for x, y in zip(outputs(backbone), outputs(plain), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-5)


def test_a_failed_import_changes_nothing(plain, tmp_path):
    state = plain.state_dict()
    del state['layer4.2.bn3.weight']
    torch.save(state, tmp_path / 'cut.pth')
    backbone = narrow(attention=SE)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(ValueError, match='1 tensor is missing'):
        import_pretrained(backbone, str(tmp_path / 'cut.pth'))
    for key, value in backbone.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)
    report = import_pretrained(backbone, str(tmp_path / 'cut.pth'), strict=False)
    assert report.missing_trunk == ['layer4.2.bn3.weight']
    assert report.problems and 'does not fit' in report.table()
