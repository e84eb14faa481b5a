"""Gates stay where they are: copies, files, conversions, wrappers, compilers, exports and hooks."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from attach_networks import relative, small_resnet
from random_networks import images, randomise
from torch import Tensor, nn

from ge_det import AttentionResNet, add_attention
from ge_det.attach.hook import GateHook, gate_of, placed_gates

X = images((48, 64))


@pytest.fixture(scope='module')
def network(peers: None) -> Any:
    """With gates that change the outputs."""
    network = small_resnet()
    add_attention(network, 'ge-theta-plus-e8', preserve_function=False)
    return randomise(network)


@pytest.fixture(scope='module')
def small(peers: None) -> Any:
    """Two units, for what compiles."""
    from torchvision.models.resnet import BasicBlock

    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 16, 3), BasicBlock(16, 16), BasicBlock(16, 16))
    add_attention(network, 'se', preserve_function=False)
    return randomise(network)


def run(network: Any) -> Tensor:
    with torch.no_grad():
        y: Tensor = network(X)
        return y


def without_gates(network: nn.Module) -> Tensor:
    network = copy.deepcopy(network)
    for placed in placed_gates(network):
        placed.gate.forward = lambda x: x  # type: ignore[method-assign]
    return run(network)


def test_gates_count(network: Any) -> None:
    assert relative(without_gates(network), run(network)) > 0.05


def test_a_copy_has_gates_of_its_own(network: Any) -> None:
    copied = copy.deepcopy(network)
    assert torch.equal(run(copied), run(network))
    before = run(network)
    with torch.no_grad():
        for placed in placed_gates(copied):
            for parameter in placed.gate.parameters():
                parameter.add_(0.3)
    assert relative(run(copied), before) > 0.01
    assert torch.equal(run(network), before)
    for placed in placed_gates(copied):
        (hook,) = placed.norm._forward_hooks.values()
        assert isinstance(hook, GateHook) and gate_of(placed.norm) is placed.gate


def test_pickle(network: Any, tmp_path: Path) -> None:
    assert torch.equal(run(pickle.loads(pickle.dumps(network))), run(network))
    torch.save(network, tmp_path / 'a.pt')
    assert torch.equal(run(torch.load(tmp_path / 'a.pt', weights_only=False)), run(network))


def test_state_dict(network: Any) -> None:
    other = small_resnet()
    add_attention(other, 'ge-theta-plus-e8')
    other.load_state_dict(network.state_dict())
    assert torch.equal(run(other.eval()), run(network))


@pytest.mark.parametrize('library', ['torchvision', 'timm'])
def test_weights_move_to_attention_resnet_and_back(
    library: str, peers: None, tmp_path: Path
) -> None:
    import timm
    import torchvision

    def make() -> Any:
        made = {'torchvision': torchvision.models.resnet18, 'timm': timm.models.resnet18}[library]
        return made(num_classes=5)

    theirs, ours = make(), AttentionResNet(18, attention='sge')
    add_attention(theirs, 'sge')
    randomise(theirs)
    found: list[Tensor] = []
    theirs.layer4.register_forward_hook(lambda *call: found.append(call[2]))
    missing = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert missing.missing_keys == [] and set(missing.unexpected_keys) == {'fc.weight', 'fc.bias'}
    run(theirs)
    assert relative(run(lambda x: ours.eval()(x)[-1]), found.pop()) <= 1e-5
    # As a config would have it, from a file.
    torch.save(theirs.state_dict(), tmp_path / 'a.pth')
    configured = AttentionResNet(18, attention='sge', pretrained=str(tmp_path / 'a.pth'))
    configured.init_weights()
    report: Any = configured.load_report
    assert len(report.loaded_gates) == 8 and not report.fresh_gates
    assert torch.equal(run(lambda x: configured.eval()(x)[-1]), run(lambda x: ours(x)[-1]))
    # And back.
    randomise(ours, seed=3)
    back = make()
    add_attention(back, 'sge')
    missing = back.load_state_dict(ours.state_dict(), strict=False)
    assert set(missing.missing_keys) == {'fc.weight', 'fc.bias'} and not missing.unexpected_keys
    back.eval().layer4.register_forward_hook(lambda *call: found.append(call[2]))
    run(back)
    assert relative(found.pop(), run(lambda x: ours(x)[-1])) <= 1e-5


def test_normalisations_that_are_converted(network: Any) -> None:
    """Those who make a new one in place of the old leave its hooks behind."""
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(network))
    assert relative(run(converted), run(network)) <= 1e-6
    folded: Any = copy.deepcopy(network)
    unit = folded.layer2[0]
    unit.conv2 = torch.nn.utils.fusion.fuse_conv_bn_eval(unit.conv2, unit.bn2)
    unit.bn2 = nn.Identity()
    assert relative(run(folded), run(network)) <= 1e-5
    replaced = copy.deepcopy(network)
    replaced.layer4[0].ge = nn.Identity()
    assert relative(run(replaced), run(network)) > 1e-3
    assert isinstance(gate_of(replaced.layer4[0].bn2), nn.Identity)


def test_normalisations_that_are_folded_with_their_hooks(network: Any) -> None:
    """torch's own folding hands hooks on to the convolution: one gate, not two."""
    folded: Any = copy.deepcopy(network).eval()
    names = [name for name, _ in folded.named_modules() if name.endswith('conv2')]
    pairs = [[name, name.replace('conv', 'bn')] for name in names]
    folded = torch.ao.quantization.fuse_modules(folded, pairs)
    for _ in range(2):
        assert relative(run(folded), run(network)) <= 1e-5


def replica_of(module: Any) -> Any:
    """As ``DataParallel`` makes one, with weights of its own."""
    replica = module._replicate_for_data_parallel()
    for name, child in module._modules.items():
        replica._modules[name] = None if child is None else replica_of(child)
    for name, parameter in module._parameters.items():
        replica._parameters[name] = None if parameter is None else nn.Parameter(parameter + 0.1)
    return replica


def test_replicas_have_gates_of_their_own(network: Any) -> None:
    alone = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in alone.parameters():
            parameter.add_(0.1)
    expected = run(network)
    assert relative(run(replica_of(network)), run(alone)) <= 1e-6
    assert torch.equal(run(network), expected)


def test_threads_that_find_a_hook_lacking_put_in_one(network: Any) -> None:
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(network))
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(run, [converted] * 8))
    assert all(relative(result, run(network)) <= 1e-6 for result in results)
    assert {len(placed.norm._forward_hooks) for placed in placed_gates(converted)} == {1}


def test_a_subclass_that_others_make_of_a_unit_stays(network: Any) -> None:
    """As ``fully_shard`` makes them."""
    copied = copy.deepcopy(network)
    unit = copied.layer1[0]
    kind = type('Sharded', (type(unit),), {})
    unit.__class__ = kind
    assert type(copy.deepcopy(copied).layer1[0]) is kind
    assert torch.equal(run(copied), run(network))


def test_converted_normalisations_under_the_compiler(small: Any) -> None:
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(small)).eval()
    torch.compiler.reset()
    compiled = torch.compile(converted, backend='eager')
    assert relative(run(compiled), run(small)) <= 1e-6


def test_what_was_compiled_before_has_the_gates(peers: None) -> None:
    from torchvision.models.resnet import BasicBlock

    class Own(BasicBlock):  # Its gate is a hook.
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)

    network: Any = nn.Sequential(nn.Conv2d(3, 16, 3), Own(16, 16)).eval()
    compiled = torch.compile(network, backend='eager')
    before = run(compiled)
    add_attention(network, 'sge')
    assert relative(run(compiled), before) <= 1e-6
    with torch.no_grad():
        network[1].sge.bias.fill_(3.0)
    assert relative(run(compiled), run(network)) <= 1e-6 < relative(before, run(network))


@pytest.mark.parametrize('training', [False, True])
def test_compile_without_a_graph_break(training: bool, small: Any) -> None:
    torch.compiler.reset()
    one, other = (copy.deepcopy(small).train(training) for _ in range(2))
    compiled = torch.compile(one, backend='eager', fullgraph=True)
    y, expected = compiled(X), other(X)
    assert relative(y, expected) <= 1e-6
    y.square().sum().backward()
    expected.square().sum().backward()
    for (name, ours), theirs in zip(one.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize('strict', [False, True])
def test_export(strict: bool, small: Any) -> None:
    program = torch.export.export(small, (X,), strict=strict)
    assert relative(run(program.module()), run(small)) <= 1e-6
    assert set(program.state_dict) == set(small.state_dict())


@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
def test_trace(small: Any) -> None:
    traced = torch.jit.trace(small, X, check_trace=False)
    assert relative(run(traced), run(small)) <= 1e-6


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def test_distributed(network: Any, one_process: None) -> None:
    """No parameter is left unused, which would raise in the second step."""
    wrapped = nn.parallel.DistributedDataParallel(copy.deepcopy(network).train())
    alone = copy.deepcopy(network).train()
    for _ in range(2):
        wrapped(X).square().sum().backward()
        alone(X).square().sum().backward()
    for ours, theirs in zip(wrapped.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_wrapper_that_was_there_before(peers: None, one_process: None) -> None:
    wrapped = nn.parallel.DistributedDataParallel(small_resnet())
    notes = add_attention(wrapped, 'se').notes
    assert len(notes) == 1 and notes[0].startswith('DistributedDataParallel was made before')
    assert not add_attention(nn.DataParallel(small_resnet()), 'se').notes


def test_hooks_of_others(network: Any) -> None:
    hooked, seen = copy.deepcopy(network), {}
    hooked.layer1[0].ge.register_forward_hook(lambda m, i, o: seen.setdefault('gate', o))
    hooked.layer1[0].bn2.register_forward_hook(lambda m, i, o: seen.setdefault('norm', o))
    hooked.layer1[0].register_forward_hook(lambda m, i, o: o * 2)
    assert relative(run(hooked), run(network)) > 0.01
    assert torch.equal(seen['gate'], seen['norm'])  # After the gate, since it came first.


def test_freezing_and_training_the_gates_alone(network: Any) -> None:
    trained = copy.deepcopy(network).requires_grad_(False)
    gates = [placed.gate.requires_grad_() for placed in placed_gates(trained)]
    trained.train()
    optimizer = torch.optim.SGD([p for p in trained.parameters() if p.requires_grad], lr=0.1)
    before = copy.deepcopy(trained.state_dict())
    trained(X).square().sum().backward()
    optimizer.step()
    parameters = dict(trained.named_parameters())
    moved = {name for name, p in parameters.items() if not torch.equal(p, before[name])}
    assert moved and all('.ge.' in name for name in moved)
    assert len({name.split('.ge.')[0] for name in moved}) == len(gates)


def test_to_and_channels_last(network: Any) -> None:
    double = copy.deepcopy(network).double()
    with torch.no_grad():
        y = double(X.double())
    assert y.dtype == torch.float64 and relative(y.float(), run(network)) <= 1e-5
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)
    with torch.no_grad():
        y = last(X.contiguous(memory_format=torch.channels_last))
    assert relative(y, run(network)) <= 1e-5
