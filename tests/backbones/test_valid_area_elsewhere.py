"""The pictures' own areas in networks that are compiled, and where gates are looked at."""

from contextlib import nullcontext

import pytest
import torch
from mmengine.registry import MODELS as REGISTRY
from padded_pictures import GATED, SIZES, batch, deviation, network, pair, pictures
from torch import nn

from ge_det.inspect.importance import dropped
from ge_det.inspect.recording import record_gates
from ge_det.ops.gated_residual import full_gate


def two_stages(name):
    return pair(GATED[name], num_stages=2)


@torch.no_grad()
@pytest.mark.parametrize('name', ['se', 'ge-theta-e8'])
def test_a_compiled_network_sees_the_same_areas(name):
    watching, _ = pair(GATED[name], depth=18, num_stages=1)
    x = batch(pictures())
    torch.compiler.reset()
    compiled = torch.compile(watching, backend='eager')
    for sizes in (SIZES, [(96, 120), (33, 47)]):
        for actual, expected in zip(compiled(x, sizes), watching(x, sizes), strict=True):
            torch.testing.assert_close(actual, expected)
    assert (compiled(x, SIZES)[0] - compiled(x, [(96, 120)] * 2)[0]).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize('name', ['se', 'sge', 'ge-theta-e8', 'ge-theta-plus', 'sp-se'])
def test_recorded_gates_are_those_of_each_picture_alone(name):
    watching, plain = two_stages(name)
    alone = pictures()
    together, single = {}, {}
    with record_gates(watching, lambda gate, x, s: together.setdefault(gate, full_gate(s, x))):
        maps = watching(batch(alone), SIZES)
    for actual, expected in zip(maps, watching(batch(alone), SIZES), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
    for number, picture in enumerate(alone):
        with record_gates(plain, lambda gate, x, s: single.update({gate: full_gate(s, x)})):
            plain(picture)
        assert single.keys() == together.keys() and len(single) == 7
        for gate, own in single.items():
            found = together[gate][number : number + 1, :, : own.shape[2], : own.shape[3]]
            torch.testing.assert_close(found, own, rtol=1e-4, atol=1e-5)
    with record_gates(plain, lambda gate, x, s: single.update({gate: full_gate(s, x)})):
        plain(batch(alone))
    assert all((together[gate] - other).abs().max() > 1e-4 for gate, other in single.items())


@torch.no_grad()
@pytest.mark.parametrize('name', ['se', 'ge-theta-minus-e8'])
def test_channels_are_dropped_by_the_gates_of_each_picture_alone(name):
    watching, plain = two_stages(name)
    alone = pictures()
    gates = [list(network.gates().values())[1] for network in (plain, watching)]
    with dropped(gates[0], 0.5):
        own = [plain(picture) for picture in alone]
    with dropped(gates[1], 0.5):
        assert deviation(watching(batch(alone), SIZES), own) <= 1e-5
    assert deviation(watching(batch(alone), SIZES), own) > 1e-2


@pytest.mark.filterwarnings('ignore:valid_area')
@pytest.mark.parametrize('name', ['ge-theta-e8', 'sp-se'])
def test_recording_a_training_leaves_statistics_alone(name):
    """Gates of own areas are asked once, so that their normalisations move once."""
    outcomes = []
    for watched in (False, True):
        options = dict(gate_norm_eval=False, fused=False, valid_area=True)
        backbone = network(GATED[name], depth=18, num_stages=1, **options).train()
        with record_gates(backbone, lambda *_: None) if watched else nullcontext():
            backbone(batch(pictures()), SIZES)[0].sum().backward()
        gradients = [p.grad for p in backbone.parameters() if p.grad is not None]
        outcomes.append([*backbone.buffers(), *gradients])
    assert all(map(torch.equal, *outcomes))


class Pooled(nn.Module):
    """A gate of somebody else with maps and layers of its own."""

    _abbr_ = 'pooled'

    def __init__(self, in_channels):
        super().__init__()
        self.rows = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.channels = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x):
        cells = self.rows(nn.functional.adaptive_avg_pool2d(x, 5)).mean((2, 3))
        return x * self.channels(cells[:, None])[:, 0, :, None, None].sigmoid()


def test_plugins_of_others_see_the_whole_map():
    REGISTRY.register_module(name='Pooled', module=Pooled)
    try:
        plugins = [dict(cfg=dict(type='mmengine.Pooled'), position='after_conv2')]
        watching, plain = pair(GATED['se'], num_stages=1, plugins=plugins)
    finally:
        REGISTRY.module_dict.pop('Pooled')
    unit, x = watching.layer1[0], batch(pictures())
    seen = []
    unit.pooled.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    watching(x, SIZES)
    assert seen[0][0, :, -1, -1].any()  # Outside of the first picture.
    assert torch.equal(watching(x, [(96, 120)] * 2)[0], plain(x)[0])
