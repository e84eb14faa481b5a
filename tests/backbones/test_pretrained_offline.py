"""Weights brought in offline: what was scaled for gates then is not scaled again, nor lost."""

import pytest
import torch
from narrow_networks import SE, THETA, THETA_MINUS, initialised, narrow, offline, outputs
from random_networks import images

from ge_det.cli.offline_import import write_checkpoint
from ge_det.errors import CheckpointError
from ge_det.weights.importing import import_pretrained


@pytest.mark.parametrize('attention', [SE, THETA, THETA_MINUS])
def test_gates_prepared_offline_have_yet_to_learn(attention, plain, file, tmp_path):
    offline = initialised(attention=attention)
    report = import_pretrained(offline, file)
    write_checkpoint(offline, report, str(tmp_path / 'start.pth'))
    backbone = initialised(
        attention=attention,
        frozen_stages=1,
        freeze_gates=False,
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
