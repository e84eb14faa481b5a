"""``pretrained=`` of AttentionResNet: which gates count as loaded, and where the report goes."""

import json

import pytest
import torch
from mmengine.logging import MMLogger
from random_networks import images, randomise

from ge_det import AttentionResNet
from ge_det.convert_weights import write_checkpoint
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
        ("attention=dict(type='ge_det.GatherExcite', extent=4)", False),
        ("attention=dict(type='ge_det.GatherExcite', extent=8, variant='theta')", False),
        ("attention=dict(type='ge_det.SqueezeExcite')", False),
        ("open('ran', 'w')\nattention=dict(type='ge_det.GatherExcite', extent=8)", True),
        ('not python (', False),
        (3, False),
    ],
)
def test_theta_minus_is_told_by_the_config_in_the_file(text, loaded, plain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = dict(meta=dict(cfg=text), state_dict=plain.state_dict())
    torch.save(content, tmp_path / 'trained.pth')
    backbone = initialised(attention=THETA_MINUS, pretrained=str(tmp_path / 'trained.pth'))
    assert bool(backbone.load_report.loaded_gates) == loaded
    if loaded:  # trained with its gates, so nothing is to be made up for
        assert backbone.load_report.preserved.approximate == []
        for key, value in plain.state_dict().items():
            torch.testing.assert_close(backbone.state_dict()[key], value, rtol=0, atol=0)
    assert not (tmp_path / 'ran').exists()  # the config is read, never run


def test_a_file_that_cannot_tell_is_noted(plain, file):
    backbone = initialised(attention=THETA_MINUS, pretrained=dict(source='ge_det', checkpoint=file))
    assert any('set preserve_function=False' in note for note in backbone.load_report.notes)


def test_broken_weights_are_refused(plain, tmp_path):
    state = plain.state_dict()
    state['layer2.0.conv1.weight'][0] = float('nan')
    torch.save(state, tmp_path / 'nan.pth')
    with pytest.raises(ValueError, match=r'1 tensors hold NaN.*layer2\.0\.conv1\.weight'):
        initialised(pretrained=str(tmp_path / 'nan.pth'))


def test_a_failed_import_changes_nothing(plain, tmp_path):
    state = plain.state_dict()
    del state['layer4.2.bn3.weight']
    torch.save(state, tmp_path / 'cut.pth')
    backbone = narrow(attention=SE)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(ValueError, match='1 tensors are missing'):
        import_pretrained(backbone, str(tmp_path / 'cut.pth'))
    for key, value in backbone.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)
    report = import_pretrained(backbone, str(tmp_path / 'cut.pth'), strict=False)
    assert report.missing_trunk == ['layer4.2.bn3.weight']
    assert report.problems and 'does not fit' in report.table()
