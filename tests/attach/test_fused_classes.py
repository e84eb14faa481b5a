"""A unit that runs fused is still its library's: class, copies, pickles, and without its gate."""

import copy
import io
import pickle
import subprocess
import sys

import pytest
import torch
from gated_units import images, pair, runs_as
from library_units import NETWORKS, torchvision

from ge_det import add_attention, remove_attention
from ge_det.attach.fused import unfuse

pytestmark = pytest.mark.usefixtures('peers')


@pytest.mark.parametrize('kind', NETWORKS)
def test_it_is_still_of_the_librarys_class(kind):
    plain, (fused, _) = NETWORKS[kind](), pair(kind)
    for unit, own in zip(fused.layer1, plain.layer1, strict=True):
        assert isinstance(unit, type(own)) and type(unit).__name__ == type(own).__name__
        assert unit.expansion == own.expansion and type(unit).__doc__ == type(own).__doc__
        gate = fused.get_submodule('layer1.0.se_layer')
        assert repr(own).splitlines()[0] == repr(unit).splitlines()[0] and 'SqueezeExcite' in repr(
            gate
        )


@pytest.mark.parametrize('kind', ['torchvision-frozen', 'timm', 'mmdet', 'mmpretrain-basic'])
def test_copies_and_pickles(kind, tmp_path):
    fused, modules = pair(kind)
    x = images()
    expected = modules(x).detach()
    file = io.BytesIO()
    torch.save(fused, file)
    file.seek(0)
    twins = [copy.deepcopy(fused), copy.copy(fused), torch.load(file, weights_only=False)]
    twins += [pickle.loads(pickle.dumps(fused, protocol)) for protocol in (0, 2, 5)]
    for twin in twins:
        assert runs_as(twin) == ['fused'] * 2
        assert [type(a) for a in twin.modules()] == [type(a) for a in fused.modules()]
        torch.testing.assert_close(twin(x), expected)
    deep = twins[0]
    with torch.no_grad():
        for parameter in deep.get_submodule('layer1.0.se_layer').parameters():
            parameter.add_(1)
    assert not torch.allclose(deep(x), expected) and torch.allclose(fused(x), expected)


def test_a_unit_alone_can_be_copied_and_a_setting_goes_with_it():
    fused, _ = pair()
    unit = fused.layer1[1]
    unit.fused = False
    assert not copy.copy(unit).fused and not copy.deepcopy(unit).fused
    del unit.fused
    assert copy.copy(unit).fused


FRESH = """
import sys, torch
from ge_det.compat.peers import use_peers
use_peers()
network, x, expected = torch.load(sys.argv[1], weights_only=False)
compiled = torch.compile(network, backend='eager', fullgraph=True)  # the first call of all
torch.testing.assert_close(compiled(x), expected)
from ge_det import execution_plan
print(*[plan.runs for plan in execution_plan(network)])
"""


def test_in_a_fresh_process(tmp_path):
    fused, modules = pair('torchvision-frozen')
    x = images()
    torch.save((fused, x, modules(x).detach()), tmp_path / 'network.pth')
    command = [sys.executable, '-c', FRESH, str(tmp_path / 'network.pth')]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == ['fused'] * 2, done.stderr


def test_a_network_without_its_gates_has_the_librarys_classes_again():
    fused, plain = torchvision(), torchvision()
    add_attention(fused, 'se')
    assert runs_as(fused) == ['fused'] * 2
    fused.layer1[0].fused = False
    remove_attention(fused)
    assert [type(unit) for unit in fused.layer1] == [type(unit) for unit in plain.layer1]
    assert 'fused' not in vars(fused.layer1[0])
    unfuse(plain.layer1[0])  # does nothing
    assert type(plain.layer1[0]) is type(fused.layer1[0])
