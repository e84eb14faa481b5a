"""Every way in refuses unsound weights, and finds those that lie elsewhere."""

import functools

import pytest
import torch
from command_line import exit_code
from mmengine.runner import CheckpointLoader, load_checkpoint
from torch import nn

from ge_det import AttentionResNet
from ge_det.errors import CheckpointError, UserError
from ge_det.weights.checkpoint import read_state_dict
from ge_det.weights.gate_coverage import gates_in_checkpoint
from ge_det.weights.importing import PretrainedOptions, import_pretrained
from ge_det.weights.publishing import publish
from ge_det.weights.whole_model import check_fits, check_may_start


@functools.cache
def network():
    torch.manual_seed(2)
    model = AttentionResNet(18, base_channels=4)
    model.init_weights()
    return model


def import_command(path):
    if exit_code('import-weights', '--checkpoint', path, '--attention', 'none', '--dry-run'):
        raise CheckpointError('said on stderr')


def resume_by_mmengine(path):
    load_checkpoint(AttentionResNet(18, base_channels=4), path, strict=True)


ENTRIES = {
    'pretrained': lambda path: import_pretrained(AttentionResNet(18, base_channels=4), path),
    'import-weights': import_command,
    'load_from': lambda path: check_may_start(network(), path),
    'test, infer, resume': lambda path: check_fits(network(), path),
    'tools of mmdet': resume_by_mmengine,
    'publish': lambda path: publish(path),
}
FAULTS = {
    'NaN': ('layer1.0.conv1.weight', lambda value: value * float('nan')),
    'infinite': ('layer4.1.bn2.bias', lambda value: value + float('inf')),
    'complex': ('conv1.weight', lambda value: value.to(torch.complex64)),
    'integers': ('bn1.running_mean', lambda value: value.int()),
    'absurd': ('conv1.weight', lambda value: value.double() * 1e300),
    'a variance': ('layer2.0.bn1.running_var', lambda value: -value),
    'nothing': ('conv1.weight', lambda value: value[:0]),
}


@pytest.mark.parametrize('fault', FAULTS)
@pytest.mark.parametrize('entry', ENTRIES)
def test_unsound_weights_are_refused_everywhere(entry, fault, tmp_path, capsys):
    key, damage = FAULTS[fault]
    state = network().state_dict()
    torch.save({**state, key: damage(state[key])}, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError) as caught:
        ENTRIES[entry](str(tmp_path / 'x.pth'))
    message = capsys.readouterr().err if entry == 'import-weights' else f'{caught.value}\n'
    assert message.count('\n') == 1 and repr(key) in message


@pytest.mark.parametrize('entry', ENTRIES)
@pytest.mark.parametrize(
    'wrap',
    [
        lambda s: {'model_state_dict': s, 'epoch': 3},
        lambda s: {'ema': {'module': s}},
        lambda s: {'state_dict': {f'_orig_mod.{k}': v for k, v in s.items()}},
        lambda s: {f'module._orig_mod.{k}': v for k, v in s.items()},
        lambda s: {k.replace('layer1.', 'layer1._orig_mod.'): v for k, v in s.items()},
        lambda s: {'state_dict': {f'teacher.module.{k}': v for k, v in s.items()}},
        lambda s: {f'model._orig_mod.ema.{k}': v for k, v in s.items()},
        lambda s: {f'backbone.body.{k}': v for k, v in s.items()},
        lambda s: {f'{one}.{k}': v for one in ('teacher', 'student') for k, v in s.items()},
    ],
)
def test_weights_are_found_everywhere(entry, wrap, tmp_path):
    torch.save(wrap(network().state_dict()), tmp_path / 'x.pth')
    ENTRIES[entry](str(tmp_path / 'x.pth'))


def test_what_mmengine_loads_is_what_was_saved(tmp_path):
    content = {'model': {f'_orig_mod.{k}': v for k, v in network().state_dict().items()}}
    torch.save(content, tmp_path / 'x.pth')
    model = AttentionResNet(18, base_channels=4)
    load_checkpoint(model, str(tmp_path / 'x.pth'), strict=True)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, network().state_dict()[key], rtol=0, atol=0)


def test_a_published_file_has_plain_names(tmp_path):
    state = nn.DataParallel(network()).state_dict()
    torch.save({'state_dict': state}, tmp_path / 'x.pth')
    made = torch.load(publish(str(tmp_path / 'x.pth')).path, weights_only=True)['state_dict']
    assert made.keys() == network().state_dict().keys()
    assert made._metadata == network().state_dict()._metadata  # Else mmdet's heads rename.


def test_what_is_checked_is_what_mmengine_loads(tmp_path):
    odd = {'layer1.weight': torch.ones(2)}
    torch.save({'state_dict': odd, 'model': network().state_dict()}, tmp_path / 'x.pth')
    assert (
        CheckpointLoader.load_checkpoint(str(tmp_path / 'x.pth'))['state_dict'].keys() == odd.keys()
    )
    for check in (check_fits, check_may_start):
        with pytest.raises(CheckpointError, match='model'):
            check(network(), str(tmp_path / 'x.pth'))


def test_gates_are_looked_up_in_the_set_that_is_asked_for(tmp_path):
    gated = AttentionResNet(
        18, base_channels=4, attention=dict(type='ge_det.SqueezeExcite', ratio=4)
    )
    gated.init_weights()
    torch.save({'model': network().state_dict(), 'ema': gated.state_dict()}, tmp_path / 'x.pth')
    for key, number in ((None, 0), ('ema', 8)):
        options = PretrainedOptions(str(tmp_path / 'x.pth'), key=key)
        assert len(gates_in_checkpoint(gated.gates(), options, None)) == number


def test_a_path_will_do(tmp_path):
    torch.save(network().state_dict(), tmp_path / 'x.pth')
    assert read_state_dict(tmp_path / 'x.pth').keys() == network().state_dict().keys()
    assert not import_pretrained(AttentionResNet(18, base_channels=4), tmp_path / 'x.pth').problems


@pytest.mark.parametrize('checkpoint', [None, 3, {}])
def test_what_can_be_no_checkpoint_is_told(checkpoint):
    for entry in (read_state_dict, lambda one: import_pretrained(network(), one)):
        with pytest.raises(CheckpointError, match='must be a str or a path'):
            entry(checkpoint)


def test_what_is_no_network_is_told_before_a_download():
    with pytest.raises(UserError, match='backbone=str is not allowed'):
        import_pretrained('x', 'http://127.0.0.1:9/resnet50-12345678.pth')
