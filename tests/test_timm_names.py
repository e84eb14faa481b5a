"""``timm.create_model`` knows every block at every depth, and its arguments do what timm's do."""

import pytest
import torch
from torch import nn

from ge_det import AttentionResNet
from ge_det.blocks import AttentionBlock
from ge_det.catalogue import DEPTHS, NAMES, attention_config
from ge_det.errors import CheckpointError, DownloadError

BLOCKS = [name for name in NAMES if name != 'none']
NARROW = dict(channels=(16, 32, 64, 128), zero_init_last=False)


@pytest.fixture(autouse=True)
def timm(peers):
    """timm, with our names in it."""
    import timm

    import ge_det.timm  # noqa: F401

    return timm


def randomised(model):
    """Nothing is at a value that hides what became of it."""
    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            low, high = (0.5, 1.5) if key.endswith('running_var') else (-0.2, 0.2)
            nn.init.uniform_(tensor, low, high)
    return model.eval()


def plain_file(timm, path, depth=18):
    plain = randomised(timm.create_model(f'resnet{depth}', **NARROW))
    torch.save(plain.state_dict(), path)
    return plain, dict(pretrained=True, pretrained_cfg_overlay=dict(file=str(path)))


def gates_of(model):
    return [m for m in model.modules() if isinstance(m, AttentionBlock)]


@torch.no_grad()
def outputs(model, size=48):
    channels = next(p for p in model.parameters() if p.dim() == 4).shape[1]
    generator = torch.Generator().manual_seed(1)
    out = model.eval()(torch.randn(2, channels, size, size, generator=generator))
    return [out] if isinstance(out, torch.Tensor) else list(out)


def test_every_block_at_every_depth_has_a_name(timm):
    expected = {f'resnet{d}_{name.replace("-", "_")}' for d in DEPTHS for name in BLOCKS}
    assert set(timm.list_models(module='timm')) == expected
    pretrained = set(timm.list_models(pretrained=True))
    for name in expected:
        plain = timm.models.get_pretrained_cfg(name.partition('_')[0])
        assert (
            timm.models.get_pretrained_cfg(name).tag == plain.tag
            and f'{name}.{plain.tag}' in pretrained
        )
    import ge_det.timm

    assert set(ge_det.timm.__all__) == expected
    assert all(getattr(ge_det.timm, name).__name__ == name for name in expected)


@pytest.mark.parametrize('depth', DEPTHS)
def test_parameters_are_those_of_the_backbone(depth, timm):
    """So what timm trains loads into a detector of mmdet's, and back."""
    with torch.device('meta'):
        ours = AttentionResNet(depth, attention=attention_config('se'))
        model = timm.create_model(f'resnet{depth}_se', num_classes=0)
    shapes = [{key: t.shape for key, t in net.state_dict().items()} for net in (ours, model)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize('block', BLOCKS)
def test_weights_of_timm_are_where_it_begins(block, timm, tmp_path):
    plain, options = plain_file(timm, tmp_path / 'plain.pth')
    name = f'resnet18_{block.replace("-", "_")}'
    model = timm.create_model(name, **options, **NARROW)
    assert len(gates_of(model)) == 8
    (old,), (new,) = outputs(plain), outputs(model)
    error = (new - old).norm() / old.norm()
    if gates_of(model)[0].state_dict():
        assert error <= 1e-5
        model.train()(torch.randn(2, 3, 48, 48)).square().sum().backward()
        for gate in gates_of(model):
            assert any(p.grad is not None and p.grad.any() for p in gate.parameters())
    else:
        assert 0 < error < 1


def test_without_weights_gates_begin_as_their_authors_do(timm):
    """A training from the start has nothing to preserve."""
    model = timm.create_model('resnet18_se', **NARROW)
    assert all(gate.conv2.conv.weight.any() for gate in gates_of(model))
    with torch.device('meta'):
        shell = timm.create_model('resnet18_se', **NARROW)
    assert {p.device.type for p in shell.parameters()} == {'meta'}
    assert list(shell.state_dict()) == list(model.state_dict())


@pytest.mark.parametrize(
    'options',
    [
        dict(num_classes=7),
        dict(num_classes=0, in_chans=1),
        dict(num_classes=0, output_stride=16, global_pool=''),
        dict(features_only=True),
        dict(features_only=True, out_indices=(1, -2), in_chans=5),
        dict(features_only=True, out_indices=(2, 4), output_stride=8),
        dict(features_only=True, feature_cls='hook', out_indices=(3,)),
        dict(features_only=True, feature_cls='getter', out_indices=(3,)),
    ],
    ids=lambda options: '-'.join(map(str, options.values())),
)
def test_arguments_are_timms(options, timm, tmp_path):
    _, pretrained = plain_file(timm, tmp_path / 'plain.pth')
    options = NARROW | pretrained | options
    plain, model = (timm.create_model(name, **options) for name in ('resnet18', 'resnet18_sge'))
    assert gates_of(model)
    if 'features_only' in options:
        assert model.feature_info.get_dicts() == plain.feature_info.get_dicts()
    else:
        assert model.feature_info == plain.feature_info
        assert model.num_classes == plain.num_classes
        plain.fc = model.fc  # Of other classes than the file's: random.
    for old, new in zip(outputs(plain), outputs(model), strict=True):
        assert old.shape == new.shape and (new - old).norm() <= 1e-5 * old.norm()


@pytest.mark.parametrize('features', [{}, dict(features_only=True, feature_cls='hook')])
@pytest.mark.parametrize('block', ['sge', 'ge_theta_minus'])
def test_what_timm_saved_comes_back_as_it_was_trained(block, features, timm, tmp_path):
    from timm.models._hub import save_config_for_hf

    trained = randomised(timm.create_model(f'resnet18_{block}', num_classes=3, **NARROW))
    save_config_for_hf(trained, tmp_path / 'config.json')
    torch.save(trained.state_dict(), tmp_path / 'pytorch_model.bin')
    again = timm.create_model(f'local-dir:{tmp_path}', pretrained=True, **features)
    assert len(gates_of(again)) == 8
    if features:
        assert torch.equal(outputs(again)[-1], trained.forward_features(images_of(trained)))
    else:
        assert torch.equal(*outputs(trained), *outputs(again))


def images_of(model):
    return torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(1))


def test_a_checkpoint_with_gates_is_taken_as_it_is(timm, tmp_path):
    trained = randomised(timm.create_model('resnet18_sge', **NARROW))
    torch.save(trained.state_dict(), tmp_path / 'trained.pth')
    path = str(tmp_path / 'trained.pth')
    by_path = timm.create_model('resnet18_sge', checkpoint_path=path, **NARROW)
    overlay = dict(pretrained=True, pretrained_cfg_overlay=dict(file=path))
    by_overlay = timm.create_model('resnet18_sge', **overlay, **NARROW)
    for model in (by_path, by_overlay):
        assert torch.equal(*outputs(trained), *outputs(model))

    state = trained.state_dict()
    del state['layer2.0.sge.weight']
    torch.save(state, path)
    with pytest.raises(CheckpointError, match='the file has no layer2.0.sge.weight'):
        timm.create_model('resnet18_sge', **overlay, **NARROW)


def test_gates_of_a_richer_block_are_not_dropped(timm, tmp_path):
    file = str(tmp_path / 'plus.pth')
    torch.save(timm.create_model('resnet18_ge_theta_plus_e8', **NARROW).state_dict(), file)
    given = dict(pretrained=True, pretrained_cfg_overlay=dict(file=file))
    with pytest.raises(CheckpointError, match='which gates of this name have not'):
        timm.create_model('resnet18_ge_theta_e8', **given, **NARROW)


def test_without_a_network_one_line_says_what_to_do(timm, tmp_path):
    nowhere = dict(hf_hub_id=None, url='http://127.0.0.1:9/resnet18.pth')
    with pytest.raises(DownloadError, match='pretrained_cfg_overlay=dict.file=PATH') as caught:
        timm.create_model(
            'resnet18_se',
            pretrained=True,
            pretrained_cfg_overlay=nowhere,
            cache_dir=tmp_path,
            **NARROW,
        )
    assert '\n' not in str(caught.value) and "resnet18's weights" in str(caught.value)


def test_an_unknown_tag_is_timms_error(timm):
    with pytest.raises(RuntimeError, match='Invalid pretrained tag .nope. for resnet18'):
        timm.create_model('resnet18_se.nope', pretrained=True, **NARROW)


def test_a_tag_chooses_among_timms_weights(timm):
    model = timm.create_model('resnet18_se.fb_swsl_ig1b_ft_in1k', **NARROW)
    assert model.pretrained_cfg['tag'] == 'fb_swsl_ig1b_ft_in1k'
    assert model.pretrained_cfg['architecture'] == 'resnet18_se'
