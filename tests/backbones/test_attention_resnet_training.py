"""What is initialised, frozen and normalised how, for fresh gates and for loaded ones."""

import math

import pytest
import torch
from mmengine.model import BaseModule
from process_group import in_processes
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ge_det import AttentionResNet

SP_SE = dict(type='ge_det.SpatialPyramidSE')
FROZEN = dict(base_channels=16, frozen_stages=1, norm_eval=True)


@pytest.fixture
def trunk_file(tmp_path):
    path = tmp_path / 'trunk.pth'
    torch.save(AttentionResNet(50, base_channels=16).state_dict(), path)
    return str(path)


@pytest.fixture
def gated_file(tmp_path):
    path = tmp_path / 'gated.pth'
    state = AttentionResNet(50, attention=SP_SE, base_channels=16).state_dict()
    torch.save(dict(state_dict={f'backbone.{k}': v for k, v in state.items()}), path)
    return str(path)


def prepared(pretrained=None, **kwargs):
    backbone = AttentionResNet(50, attention=SP_SE, pretrained=pretrained, **FROZEN, **kwargs)
    backbone.init_weights()
    return backbone.train()


def gate_norms(backbone):
    return [m for g in backbone.gates().values() for m in g.modules() if isinstance(m, _BatchNorm)]


def is_learning(backbone, stage):
    gates = [g for name, g in backbone.gates().items() if name.startswith(f'layer{stage}.')]
    flags = {p.requires_grad for gate in gates for p in gate.parameters()}
    assert len(flags) == 1
    return flags.pop()


def trunk_of_stage(backbone, stage):
    names = tuple(f'{name}.' for name in backbone.gates())
    layer = f'layer{stage}.'
    return [
        p for k, p in backbone.named_parameters() if k.startswith(layer) and not k.startswith(names)
    ]


def test_fresh_gates_may_learn_in_frozen_stages_and_see_batch_statistics(trunk_file):
    backbone = prepared(trunk_file, freeze_gates=False)
    assert is_learning(backbone, 1)
    assert is_learning(backbone, 2)
    assert not any(p.requires_grad for p in trunk_of_stage(backbone, 1))
    assert all(norm.training for norm in gate_norms(backbone))
    assert not backbone.layer1[0].bn3.training
    assert not backbone.layer3[0].bn3.training
    before = gate_norms(backbone)[0].running_mean.clone()
    backbone(torch.randn(2, 3, 64, 64))[-1].sum().backward()
    assert not torch.equal(gate_norms(backbone)[0].running_mean, before)
    first = next(iter(backbone.gates().values()))
    assert all(p.grad is not None for p in first.parameters())


@pytest.mark.parametrize('route', ['pretrained', 'init_cfg'])
def test_loaded_gates_follow_the_trunk(gated_file, route):
    if route == 'pretrained':
        backbone = prepared(gated_file)
    else:
        backbone = prepared(
            init_cfg=dict(type='Pretrained', checkpoint=gated_file, prefix='backbone.')
        )
    assert not is_learning(backbone, 1)
    assert is_learning(backbone, 2)
    assert not any(norm.training for norm in gate_norms(backbone))


def test_without_weights_every_gate_is_fresh():
    backbone = prepared()
    assert is_learning(backbone, 1)
    assert all(norm.training for norm in gate_norms(backbone))


@pytest.mark.parametrize('choice', [True, False])
def test_the_user_decides_over_the_default(gated_file, choice):
    backbone = prepared(gated_file, freeze_gates=choice, gate_norm_eval=choice)
    assert is_learning(backbone, 1) is not choice
    assert all(norm.training is not choice for norm in gate_norms(backbone))


def test_loading_a_checkpoint_to_resume_does_not_make_fresh_gates_loaded(trunk_file):
    backbone = prepared(trunk_file)
    saved = backbone.state_dict()
    backbone.load_state_dict(saved)
    backbone.train()
    assert is_learning(backbone, 2)
    assert all(norm.training for norm in gate_norms(backbone)[3:])


@pytest.mark.parametrize('frozen', ['all', 'gates'])
def test_what_the_user_freezes_by_hand_stays_frozen(frozen):
    backbone = AttentionResNet(50, attention=SP_SE, **FROZEN)
    for module in backbone.gates().values() if frozen == 'gates' else [backbone]:
        module.requires_grad_(False)
    backbone.eval()
    backbone.train()
    gates = backbone.gates().values()
    assert not any(p.requires_grad for gate in gates for p in gate.parameters())


def test_gates_given_as_plugins_are_gates_too():
    plugins = [dict(cfg=SP_SE, position='after_conv3')]
    backbone = AttentionResNet(50, plugins=plugins, **FROZEN)
    backbone.init_weights()
    backbone.train()
    assert len(backbone.gates()) == 16
    assert is_learning(backbone, 1)
    assert all(norm.training for norm in gate_norms(backbone))


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(deep_stem=True, avg_down=True),
        dict(norm_cfg=dict(type='GN', num_groups=4)),
        dict(style='caffe'),
        dict(with_cp=True, frozen_stages=1),
    ],
    ids=lambda kwargs: next(iter(kwargs)),
)
def test_options_of_mmdets_resnet(kwargs):
    backbone = AttentionResNet(50, attention=SP_SE, base_channels=16, **kwargs)
    backbone.init_weights()
    outs = backbone.train()(torch.randn(2, 3, 64, 64))
    sum(out.square().mean() for out in outs).backward()
    gate = next(iter(backbone.gates().values()))
    assert all(p.grad.isfinite().all() for p in gate.parameters())


def test_modes_return_the_backbone():
    backbone = AttentionResNet(18, attention=SP_SE, **FROZEN)
    assert backbone.eval() is backbone
    assert backbone.train() is backbone
    assert not any(m.training for m in backbone.eval().modules())


def test_freezing_everything_can_leave_only_fresh_gates(trunk_file):
    backbone = AttentionResNet(
        50,
        attention=SP_SE,
        base_channels=16,
        frozen_stages=4,
        freeze_gates=False,
        pretrained=trunk_file,
    )
    backbone.init_weights()
    learning = {k for k, p in backbone.train().named_parameters() if p.requires_grad}
    assert learning == {k for k, _ in backbone.named_parameters() if '.sp_se.' in k}


def test_gate_initialisation_survives_the_backbones_rules():
    attention = dict(type='ge_det.GatherExcite', variant='theta')
    backbone = AttentionResNet(50, attention=attention, base_channels=64)
    backbone.init_weights()
    kernel = backbone.layer1[0].ge.gather[0].conv.weight
    assert kernel.std().item() == pytest.approx(math.sqrt(2 / 56**2), rel=0.02)


def test_pretrained_weights_survive_the_initialisation_of_a_detector(gated_file):
    detector = BaseModule(init_cfg=dict(type='Constant', layer=['Conv2d', 'BatchNorm2d'], val=3.0))
    detector.backbone = AttentionResNet(
        50, attention=SP_SE, pretrained=dict(checkpoint=gated_file), **FROZEN
    )
    detector.init_weights()
    saved = torch.load(gated_file)['state_dict']
    for key, value in detector.state_dict().items():
        torch.testing.assert_close(value, saved[key])


@pytest.mark.parametrize('depth', [18, 50])
def test_zero_init_residual_reaches_every_depth(depth):
    backbone = AttentionResNet(depth, attention=SP_SE, base_channels=16)
    backbone.init_weights()
    last = 'bn2' if depth == 18 else 'bn3'
    assert not getattr(backbone.layer2[0], last).weight.any()


def test_log_says_which_gates_are_fresh(trunk_file, capsys, monkeypatch):
    lines = []
    monkeypatch.setattr(
        'ge_det.backbones.attention_resnet.print_log', lambda text, **_: lines.append(text)
    )
    prepared(trunk_file)
    assert lines == [
        'AttentionResNet: 16 of 16 gates start untrained (this training learns them; --resume and '
        'load_from bring theirs along); 3 in frozen stages stay without effect (freeze_gates=False '
        'lets them learn); 3 keep the statistics of their batch normalisation as they are'
    ]


def test_log_says_what_trained_gates_keep(gated_file, monkeypatch):
    lines = []
    monkeypatch.setattr(
        'ge_det.backbones.attention_resnet.print_log', lambda text, **_: lines.append(text)
    )
    prepared(gated_file)
    assert lines[0].startswith('AttentionResNet: 0 of 16 gates start untrained; ')


@pytest.mark.parametrize('attention', ['ge-theta', 'ge-theta-e8', 'ge-theta-plus', 'rg-se'])
def test_what_will_freeze_is_known_before_norms_are_converted(attention, tmp_path, monkeypatch):
    """As MMEngine does with sync_bn='torch' where it wraps a model, before it initialises."""
    torch.save(AttentionResNet(50, base_channels=32).state_dict(), tmp_path / 'trunk.pth')
    monkeypatch.setattr('ge_det.backbones.attention_resnet.get_world_size', lambda: 2)
    monkeypatch.setattr('ge_det.weights.gate_coverage.get_world_size', lambda: 2)
    backbone = AttentionResNet(
        50, attention, base_channels=32, frozen_stages=1, pretrained=str(tmp_path / 'trunk.pth')
    )
    backbone = nn.SyncBatchNorm.convert_sync_batchnorm(backbone)
    backbone.init_weights()
    assert len(backbone.load_report.preserved.exact) == 16
    assert not is_learning(backbone.train(), 1)


@pytest.mark.parametrize('second', ['SpatialGroupEnhance', 'GatherExcite'])
def test_two_gates_in_a_unit_learn_alike_on_several_gpus(second, trunk_file, monkeypatch):
    options = dict(groups=8) if second == 'SpatialGroupEnhance' else {}
    plugin = dict(cfg=dict(type=f'ge_det.{second}', **options), position='after_conv3')
    learning = []
    for processes in (1, 2):
        for module in ('backbones.attention_resnet', 'weights.gate_coverage'):
            monkeypatch.setattr(f'ge_det.{module}.get_world_size', lambda count=processes: count)
        backbone = prepared(trunk_file, plugins=[plugin])
        learning.append({name for name, p in backbone.named_parameters() if p.requires_grad})
    assert learning[0] == learning[1]
    is_learning = any(name.startswith('layer1.0.s') for name in learning[0])
    assert is_learning is (second == 'GatherExcite')  # Without weights it cannot be taken back.


def train_two_steps(rank, kinds, queue):
    found = {}
    for kind, kwargs in kinds.items():
        torch.manual_seed(0)
        backbone = AttentionResNet(50, attention=SP_SE, **kwargs, **FROZEN)
        # MMEngine wraps before it initialises.
        wrapped = nn.parallel.DistributedDataParallel(backbone)
        backbone.init_weights()
        backbone.train()
        optimizer = torch.optim.SGD(backbone.parameters(), lr=0.01)
        for step in range(2):
            torch.manual_seed(10 * step + rank)
            sum(out.mean() for out in wrapped(torch.randn(2, 3, 64, 64))).backward()
            optimizer.step()
            optimizer.zero_grad()
        total = sum(p.double().sum().item() for p in backbone.parameters())
        found[kind] = (total, is_learning(backbone, 1))
    queue.put(found)


def test_distributed_training_without_unused_parameters(trunk_file, gated_file, tmp_path):
    init_cfg = dict(type='Pretrained', checkpoint=gated_file, prefix='backbone.')
    kinds = {
        'trunk': dict(pretrained=trunk_file),
        'trunk, learning': dict(pretrained=trunk_file, freeze_gates=False),
        'trunk, changed': dict(pretrained=dict(checkpoint=trunk_file, preserve_function=False)),
        'gated': dict(pretrained=gated_file),
        'gated by init_cfg': dict(init_cfg=[init_cfg]),
    }
    queue = torch.multiprocessing.get_context('spawn').SimpleQueue()
    in_processes(2, train_two_steps, tmp_path / 'meet', kinds, queue)
    found, other = queue.get(), queue.get()
    assert found == other
    learning = {kind: learns for kind, (_, learns) in found.items()}
    assert [kind for kind, learns in learning.items() if learns] == [
        'trunk, learning',
        'trunk, changed',
    ]
