"""The pictures' own areas in networks that are compiled, and where gates are looked at."""

import pytest
import torch
from padded_pictures import GATED, SIZES, batch, deviation, pair, pictures

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
