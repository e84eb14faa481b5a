"""An import with preserve_function: the plain network's outputs, and gates that learn."""

import copy

import pytest
import torch
from attention_cases import ATTENTION
from mmdet.registry import MODELS as MMDET_MODELS
from random_networks import images, randomise

import ge_det
from ge_det import AttentionResNet
from ge_det.blocks import AttentionBlock
from ge_det.blocks.theta_minus_scale import fit_scale
from ge_det.weights.importing import import_pretrained
from ge_det.weights.preserving import preserve_function

SIZES = ((64, 64), (97, 131))
NARROW = dict(base_channels=16)
EXACT = [n for n in ATTENTION if n != 'none' and not n.startswith('ge-theta-minus')]
APPROXIMATE = [n for n in ATTENTION if n.startswith('ge-theta-minus')]


def block(name):
    if name == 'sge':
        return dict(ATTENTION[name], groups=16)
    if name == 'se-no-bias':
        return dict(ATTENTION[name], ratio=2)  # one hidden unit could be dead and learn nothing
    return ATTENTION[name]


@pytest.fixture(scope='module', params=[18, 50])
def plain(request, tmp_path_factory):
    """A plain network and the file of its weights."""
    network = randomise(AttentionResNet(request.param, **NARROW))
    path = tmp_path_factory.mktemp('plain') / f'r{request.param}.pth'
    torch.save(network.state_dict(), path)
    return network, str(path)


def imported(path, depth, name, **options):
    backbone = AttentionResNet(
        depth, attention=block(name), pretrained=dict(checkpoint=path, **options), **NARROW
    )
    backbone.init_weights()
    return backbone


def errors(backbone, plain):
    """Relative error of every output at two sizes."""
    backbone.eval()
    found = []
    with torch.no_grad():
        for size in SIZES:
            pairs = zip(backbone(images(size)), plain(images(size)), strict=True)
            found += [float((a - b).norm() / b.norm()) for a, b in pairs]
    return found


@pytest.mark.parametrize('name', EXACT)
def test_exact_blocks(name, plain):
    network, path = plain
    backbone = imported(path, network.depth, name)
    assert max(errors(backbone, network)) <= 1e-5
    report = backbone.load_report
    assert report.preserved.exact == report.fresh_gates == list(backbone.gates())
    assert not report.preserved.approximate and not report.preserved.impossible
    assert len(report.preserved.deviation) == 2
    assert all(max(values) <= 1e-5 for values in report.preserved.deviation.values())


def test_new_tensors_may_be_made_elsewhere(plain):
    """As ``torch.set_default_device`` has it."""
    backbone = AttentionResNet(plain[0].depth, attention='se', **NARROW)
    with torch.device('meta'):
        result = preserve_function(backbone, list(backbone.gates()))
    assert all(max(values) <= 1e-5 for values in result.deviation.values())


@pytest.mark.parametrize('name', EXACT)
def test_gates_of_an_exact_import_learn(name, plain):
    network, path = plain
    backbone = imported(path, network.depth, name).train()
    gates = backbone.gates()
    before = copy.deepcopy({n: list(g.parameters()) for n, g in gates.items()})
    optimizer = torch.optim.SGD(backbone.parameters(), lr=0.1)
    # Weights behind the zeroed ones move once those have.
    for _ in range(2):
        optimizer.zero_grad()
        sum((out * torch.randn_like(out)).mean() for out in backbone(images((64, 64)))).backward()
        optimizer.step()
    for n, gate in gates.items():
        moved = [not torch.equal(a, b) for a, b in zip(before[n], gate.parameters(), strict=True)]
        assert any(moved), n
    weights = [p for gate in gates.values() for n, p in gate.named_parameters() if 'weight' in n]
    assert all(weight.grad is not None for weight in weights)
    assert sum(bool(weight.grad.any()) for weight in weights) > len(gates) / 2


@pytest.mark.parametrize('name', EXACT)
def test_without_it_the_network_changes(name, plain):
    network, path = plain
    backbone = imported(path, network.depth, name, preserve_function=False)
    assert max(errors(backbone, network)) > 0.1
    assert backbone.load_report.preserved is None


@pytest.mark.parametrize('name', APPROXIMATE)
def test_theta_minus_is_approximate_and_the_report_measures_it(name, plain):
    network, path = plain
    untouched = imported(path, network.depth, name, preserve_function=False)
    backbone = imported(path, network.depth, name)
    done = backbone.load_report.preserved
    assert done.approximate == list(backbone.gates()) and not done.exact
    for size in ('64x64', '96x128'):
        (reported,) = (v for k, v in done.deviation.items() if size in k)
        generator = torch.Generator().manual_seed(0)
        fed = {s: torch.randn(2, 3, *s, generator=generator) for s in ((64, 64), (96, 128))}
        x = fed[tuple(map(int, size.split('x')))]
        backbone.eval()
        with torch.no_grad():
            pairs = list(zip(backbone(x), network(x), strict=True))
        measured = [float((a - b).norm() / b.norm()) for a, b in pairs]
        assert reported == pytest.approx(measured, rel=1e-3)
    assert sum(errors(backbone, network)) < sum(errors(untouched, network))


@pytest.mark.parametrize('name', APPROXIMATE)
def test_calibration_fits_theta_minus_to_images(name, plain):
    network, path = plain
    seen = [images((80, 96), seed=3), images((64, 96), seed=4)]
    backbone, calibrated = (
        AttentionResNet(network.depth, attention=block(name), **NARROW) for _ in range(2)
    )
    import_pretrained(backbone, path)
    report = import_pretrained(calibrated, path, calibration_images=seen)
    assert report.preserved.calibration_images == 4
    assert 'the 4 calibration images' in report.preserved.deviation
    assert report.preserved.deviation['the 4 calibration images'][0] > 0

    def error(model):
        model.eval()
        with torch.no_grad():
            pairs = [p for x in seen for p in zip(model(x), network(x), strict=True)]
        return sum(float((a - b).norm() / b.norm()) for a, b in pairs)

    assert error(calibrated) < error(backbone)


def test_fit_scale_solves_for_one_mean():
    means = torch.linspace(-0.27, 3, 200)[None]
    scale = fit_scale(means, torch.ones_like(means))
    torch.testing.assert_close(
        scale * torch.sigmoid(scale * means[0]), torch.ones(200), rtol=0, atol=5e-3
    )
    # Below there is no solution, and the largest value is the closest.
    low = torch.tensor([[-0.5, -1.0]])
    grid = torch.linspace(0.1, 5, 5000)[:, None]
    best = (grid * torch.sigmoid(grid * low)).argmax(0)
    torch.testing.assert_close(
        fit_scale(low, torch.ones_like(low)), grid[best, 0], rtol=2e-2, atol=0
    )


def test_fit_scale_weighs_by_energy_and_leaves_dead_channels():
    means = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    energies = torch.tensor([[1e6, 0.0], [1e-6, 0.0]])
    torch.testing.assert_close(
        fit_scale(means, energies), torch.tensor([2.0, 1.0]), rtol=1e-2, atol=0
    )


def plugin_backbone(kind='ResNet', position='after_conv3', name='se', **kwargs):
    plugins = [dict(cfg=block(name), position=position)]
    return MMDET_MODELS.build(
        dict(dict(type=kind, depth=50, base_channels=16, plugins=plugins), **kwargs)
    )


@pytest.mark.parametrize(
    ('kind', 'kwargs'),
    [
        ('ResNet', {}),
        ('ResNetV1d', {}),
        ('ResNeXt', dict(groups=4, base_width=4)),
        ('Res2Net', dict(scales=2, base_width=26)),
        ('ResNeSt', dict(radix=2, reduction_factor=4)),
        ('ResNet', dict(norm_cfg=dict(type='GN', num_groups=4))),
    ],
)
@pytest.mark.parametrize('name', ['se', 'sge', 'ge-theta-e8'])
def test_plugins_of_mmdets_backbones(kind, kwargs, name, tmp_path):
    network = MMDET_MODELS.build(dict(type=kind, depth=50, base_channels=16, **kwargs))
    randomise(network)
    torch.save(network.state_dict(), tmp_path / 'plain.pth')
    backbone = plugin_backbone(kind, name=name, **kwargs)
    report = import_pretrained(backbone, str(tmp_path / 'plain.pth'))
    assert max(errors(backbone, network)) <= 1e-5
    assert len(report.preserved.exact) == 16


def test_a_gate_inside_the_unit_is_reported_as_not_preserved(tmp_path):
    network = MMDET_MODELS.build(dict(type='ResNet', depth=50, base_channels=16))
    torch.save(network.state_dict(), tmp_path / 'plain.pth')
    backbone = plugin_backbone(position='after_conv2')
    report = import_pretrained(backbone, str(tmp_path / 'plain.pth'))
    assert len(report.preserved.impossible) == 16
    assert 'not preserved' in report.table()
    assert 'end of a residual branch' in report.table()


def test_plugin_route_warns_of_gates_that_cannot_learn(tmp_path):
    network = MMDET_MODELS.build(dict(type='ResNet', depth=50, base_channels=16))
    torch.save(network.state_dict(), tmp_path / 'plain.pth')
    frozen = plugin_backbone(name='sp-se', frozen_stages=1, norm_eval=True)
    notes = import_pretrained(frozen, str(tmp_path / 'plain.pth')).notes
    assert any('3 fresh gates stand in frozen stages' in note for note in notes)
    assert any('norm_eval=True keeps the batch normalisation' in note for note in notes)
    free = plugin_backbone(name='sp-se', norm_eval=False)
    notes = import_pretrained(free, str(tmp_path / 'plain.pth')).notes
    assert [note for note in notes if 'never trained' not in note] == []


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_dtype_and_mode_are_kept(dtype, plain):
    network, path = plain
    backbone = AttentionResNet(network.depth, attention=block('se'), **NARROW).to(dtype).train()
    import_pretrained(backbone, path)
    assert backbone.training
    assert next(backbone.parameters()).dtype is dtype
    tolerance = 1e-5 if dtype is torch.float64 else 0.1
    assert max(errors(backbone.float(), network)) <= tolerance


@pytest.mark.parametrize('name', ['sge', 'ge-theta', 'rg-se'])
def test_full_width(name, tmp_path):
    network = randomise(AttentionResNet(50))
    torch.save(network.state_dict(), tmp_path / 'plain.pth')
    backbone = AttentionResNet(50, attention=ATTENTION[name])
    import_pretrained(backbone, str(tmp_path / 'plain.pth'))
    assert max(errors(backbone, network)) <= 1e-5


def test_synchronised_normalisation(plain):
    network, path = plain
    backbone = AttentionResNet(network.depth, attention=block('sp-se'), **NARROW)
    backbone = torch.nn.SyncBatchNorm.convert_sync_batchnorm(backbone)
    import_pretrained(backbone, path)
    assert max(errors(backbone, network)) <= 1e-5


def test_two_gates_in_a_row(tmp_path):
    network = randomise(AttentionResNet(50, **NARROW))
    torch.save(network.state_dict(), tmp_path / 'plain.pth')
    pairs = [block('se'), block('sge')]
    plugins = [dict(cfg=cfg, position='after_conv3') for cfg in pairs]
    backbone = AttentionResNet(50, plugins=plugins, **NARROW)
    assert len(import_pretrained(backbone, str(tmp_path / 'plain.pth')).preserved.exact) == 32
    assert max(errors(backbone, network)) <= 1e-5


def test_theta_minus_behind_another_gate_is_as_close_as_alone(tmp_path):
    network = randomise(AttentionResNet(50, **NARROW))
    torch.save(network.state_dict(), tmp_path / 'plain.pth')
    found = []
    for cfgs in ([block('ge-theta-minus')], [block('se'), block('ge-theta-minus')]):
        plugins = [dict(cfg=cfg, position='after_conv3') for cfg in cfgs]
        backbone = AttentionResNet(50, plugins=plugins, **NARROW)
        import_pretrained(backbone, str(tmp_path / 'plain.pth'))
        found.append(errors(backbone, network))
    assert found[1] == pytest.approx(found[0], rel=1e-3)


def test_a_block_of_somebody_else_is_left_alone(tmp_path):
    class Half(AttentionBlock):
        _abbr_ = 'halving'

        def gate(self, x):
            return torch.full_like(x[:, :, :1, :1], 0.5)

    network = randomise(AttentionResNet(18, **NARROW))
    torch.save(network.state_dict(), tmp_path / 'plain.pth')
    backbone = AttentionResNet(18, attention=dict(type=Half), **NARROW)
    done = import_pretrained(backbone, str(tmp_path / 'plain.pth')).preserved
    assert set(done.impossible.values()) == {'it cannot be made a constant'}
    assert len(done.impossible) == 8 and not done.approximate


def test_random_numbers_are_not_drawn(plain):
    network, path = plain
    backbone = AttentionResNet(network.depth, attention=block('ge-theta-minus'), **NARROW)
    state = torch.get_rng_state()
    import_pretrained(backbone, path)
    assert torch.equal(state, torch.get_rng_state())


def test_without_images_a_channel_whose_mean_is_zero_is_scaled_too():
    """s sigmoid(0 s) = 1 at s = 2, whatever a single position weighs."""
    gate = ge_det.GatherExcite(4)
    scale = gate.fit_scale(*gate.scale_statistics_of_mean(torch.zeros(4)))
    torch.testing.assert_close(scale, torch.full((4,), 2.0), rtol=1e-2, atol=0)
