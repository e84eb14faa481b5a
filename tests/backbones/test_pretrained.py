"""``pretrained=`` of AttentionResNet: which gates count as loaded, and where the report goes."""

import json

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.logging import MMLogger
from mmengine.model import Sequential
from random_networks import images, randomise

from ge_det import AttentionResNet
from ge_det.cli.offline_import import write_checkpoint
from ge_det.errors import CheckpointError
from ge_det.weights.importing import import_pretrained

SE = dict(type='ge_det.SqueezeExcite')
THETA = dict(type='ge_det.GatherExcite', variant='theta', extent=8)
THETA_MINUS = dict(type='ge_det.GatherExcite', extent=8)


def narrow(**kwargs):
    return AttentionResNet(50, base_channels=16, **kwargs)


def initialised(**kwargs):
    backbone = narrow(**kwargs)
    backbone.init_weights()
    return backbone


@pytest.fixture
def plain(tmp_path):
    network = randomise(narrow())
    torch.save(network.state_dict(), tmp_path / 'plain.pth')
    return network


@pytest.fixture
def file(plain, tmp_path):
    return str(tmp_path / 'plain.pth')


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


@pytest.mark.parametrize('attention', [SE, THETA, THETA_MINUS])
def test_gates_prepared_offline_have_yet_to_learn(attention, plain, file, tmp_path):
    offline = initialised(attention=attention)
    report = import_pretrained(offline, file)
    write_checkpoint(offline, report, str(tmp_path / 'start.pth'))
    backbone = initialised(
        attention=attention,
        frozen_stages=1,
        norm_eval=True,
        pretrained=dict(source='ge_det', checkpoint=str(tmp_path / 'start.pth')),
    )
    found = backbone.load_report
    assert (found.loaded_gates, found.fresh_gates) == ([], [])
    assert found.prepared_gates == list(backbone.gates())
    for key, value in offline.state_dict().items():  # nothing was scaled a second time
        torch.testing.assert_close(backbone.state_dict()[key], value, rtol=0, atol=0)
    backbone.train()
    gate = next(iter(backbone.gates().values()))
    assert all(parameter.requires_grad for parameter in gate.parameters())
    assert all(m.training for m in gate.modules())
    assert not backbone.layer1[0].conv1.weight.requires_grad


def test_gates_left_unprepared_offline_are_fresh(plain, file, tmp_path):
    offline = initialised(attention=SE)
    report = import_pretrained(offline, file, preserve_function=False)
    write_checkpoint(offline, report, str(tmp_path / 'start.pth'))
    backbone = initialised(attention=SE, pretrained=str(tmp_path / 'start.pth'))
    assert backbone.load_report.fresh_gates == list(backbone.gates())
    backbone.eval()
    with torch.no_grad():
        for a, b in zip(backbone(images((64, 64))), plain(images((64, 64))), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


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


def offline(attention, start, out, **options):
    """Import ``start`` into a new network and write it to ``out``."""
    backbone = initialised(attention=attention)
    write_checkpoint(backbone, import_pretrained(backbone, start, **options), out)
    return backbone


def outputs(backbone):
    backbone.eval()
    with torch.no_grad():
        return backbone(images((64, 64)))


@pytest.mark.parametrize('attention', [SE, THETA, THETA_MINUS])
def test_a_chain_of_offline_imports_scales_once(attention, file, tmp_path):
    a, b = str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth')
    first = offline(attention, file, a)
    offline(attention, a, b, preserve_function=False)
    last = initialised(attention=attention, pretrained=b)
    for x, y in zip(outputs(first), outputs(last), strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=0)


def test_gates_that_could_not_be_prepared_do_not_undo_the_others(plain, file, tmp_path):
    sge = dict(type='ge_det.SpatialGroupEnhance', groups=16)
    plugins = [
        dict(cfg=SE, position='after_conv2'),
        dict(cfg=sge, position='after_conv3'),
    ]
    backbone = initialised(plugins=plugins)
    report = import_pretrained(backbone, file)
    assert len(report.preserved.exact) == len(report.preserved.impossible) == 16
    write_checkpoint(backbone, report, str(tmp_path / 'a.pth'))
    again = initialised(plugins=plugins, pretrained=str(tmp_path / 'a.pth'))
    assert len(again.load_report.prepared_gates) == len(again.load_report.fresh_gates) == 16
    for key, value in backbone.state_dict().items():
        if '.bn3.' in key:
            torch.testing.assert_close(again.state_dict()[key], value, rtol=0, atol=0)


@pytest.mark.parametrize(
    'attention', [None, SE, THETA, dict(THETA_MINUS, extent=4)], ids=['none', 'se', 'theta', 'e4']
)
def test_a_trunk_scaled_for_theta_minus_fits_nothing_else(attention, file, tmp_path):
    offline(THETA_MINUS, file, str(tmp_path / 'a.pth'))
    with pytest.raises(CheckpointError, match="scaled for 16 gates 'GatherExcite theta_minus 8'"):
        initialised(attention=attention, pretrained=str(tmp_path / 'a.pth'))


def test_prepared_gates_of_another_size_are_an_error(file, tmp_path):
    offline(dict(SE, ratio=4), file, str(tmp_path / 'a.pth'))
    with pytest.raises(CheckpointError, match='gates of another kind or size'):
        initialised(attention=SE, pretrained=str(tmp_path / 'a.pth'))


def test_the_function_settles_what_follows_the_trunk(plain, tmp_path):
    trained = initialised(attention=SE)
    torch.save(trained.state_dict(), tmp_path / 'se.pth')
    backbone = initialised(attention=SE, frozen_stages=1)
    gate = backbone.layer1[0].se_layer.conv1.conv.weight
    assert gate.requires_grad
    import_pretrained(backbone, str(tmp_path / 'se.pth'))
    assert not gate.requires_grad
    import_pretrained(backbone, str(tmp_path / 'plain.pth'))
    assert gate.requires_grad


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


@pytest.mark.parametrize('attention', [THETA_MINUS, dict(type='ge_det.GatherExcite')])
def test_trained_theta_minus_survives_an_offline_import(attention, plain, tmp_path):
    extent = attention.get('extent', 'global')
    config = f"a = dict(attention=dict(type='ge_det.GatherExcite', extent={extent!r}))"
    torch.save(dict(meta=dict(cfg=config), state_dict=plain.state_dict()), tmp_path / 'x.pth')
    offline(attention, str(tmp_path / 'x.pth'), str(tmp_path / 'a.pth'))
    backbone = initialised(attention=attention, pretrained=str(tmp_path / 'a.pth'))
    assert len(backbone.load_report.loaded_gates) == 16
    with pytest.raises(CheckpointError, match='trained with 16 gates .GatherExcite theta_minus'):
        initialised(attention=SE, pretrained=str(tmp_path / 'a.pth'))


def test_an_offline_import_keeps_strides_and_pool(tmp_path):
    caffe = narrow(style='caffe', stem_pool='ceil')
    torch.save(caffe.state_dict(), tmp_path / 'x.pth')
    report = import_pretrained(caffe, str(tmp_path / 'x.pth'))
    write_checkpoint(caffe, report, str(tmp_path / 'a.pth'))
    with pytest.raises(CheckpointError, match="needs style='caffe'"):
        initialised(pretrained=str(tmp_path / 'a.pth'))
    backbone = initialised(style='caffe', pretrained=str(tmp_path / 'a.pth'))
    assert any("stem_pool='ceil'" in note for note in backbone.load_report.notes)
    torch.save(narrow().state_dict(), tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match="needs style='pytorch'"):
        initialised(
            style='caffe', pretrained=dict(source='torchvision', checkpoint=str(tmp_path / 'x.pth'))
        )


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
