"""What a strided gather runs again in the backward pass, and when it does not."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from block_cases import CHANNELS, random_block

from ge_det.blocks import recompute as module


def features():
    return torch.randn(2, CHANNELS, 9, 7, dtype=torch.float64, requires_grad=True)


@pytest.fixture
def runs(monkeypatch):
    """How often anything was run again, by the number of calls."""
    calls = []
    original = module.checkpoint

    def counted(run, *args, **kwargs):
        return original(lambda *inputs: calls.append(1) or run(*inputs), *args, **kwargs)

    monkeypatch.setattr(module, 'checkpoint', counted)
    return calls


def test_statistics_move_once_and_a_kept_graph_can_be_used_twice(runs):
    block = random_block('ge-theta_plus-4').train()
    expected = copy.deepcopy(block)
    x = features()
    with torch.no_grad():
        expected(x)
    out = block(x).sum()
    first = torch.autograd.grad(out, x, retain_graph=True)
    second = torch.autograd.grad(out, x)
    assert len(runs) == 3
    torch.testing.assert_close(first, second)
    for key, value in block.state_dict().items():
        torch.testing.assert_close(value, expected.state_dict()[key])


def test_the_second_run_is_in_the_mode_of_the_first(runs):
    block = random_block('ge-theta-2').train()
    x = features()
    expected = torch.autograd.grad(block(x).sum(), x)
    out = block(x).sum()
    block.eval()
    torch.testing.assert_close(torch.autograd.grad(out, x), expected)
    assert not block.gather[0].bn.training and len(runs) == 4


@pytest.mark.parametrize('training', [True, False])
def test_functional_call(runs, training):
    block, other = (random_block('ge-theta-2').train(training) for _ in range(2))
    x = features()
    wanted = torch.autograd.grad(other(x).sum(), x)
    state = {**dict(other.named_parameters()), **dict(other.named_buffers())}
    out = torch.func.functional_call(block, state, (x,))
    torch.testing.assert_close(torch.autograd.grad(out.sum(), x), wanted)
    assert len(runs) == 4


def test_a_hook_inside_is_called_once(runs):
    block, seen = random_block('ge-theta-2').train(), []
    block.gather[0].bn.register_forward_hook(lambda *_: seen.append(1))
    block(features()).sum().backward()
    assert len(seen) == 1 and not runs


def test_weights_changed_before_the_backward_pass_are_an_error(runs):
    block = random_block('ge-theta-2').train()
    out = block(features()).sum()
    with torch.no_grad():
        block.gather[0].conv.weight.mul_(2)
    with pytest.raises(RuntimeError, match='changed in place'):
        out.backward()


def test_threads_leave_each_others_block_alone():
    block = random_block('ge-theta-8').train()
    buffers, steps = dict(block.named_buffers()), 8
    counted = {key: int(value) for key, value in buffers.items() if key.endswith('tracked')}

    def work(_):
        for _ in range(steps):
            block(features()).sum().backward()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    for key, value in block.named_buffers():
        assert value is buffers[key], key
    for key, before in counted.items():
        assert buffers[key] == before + 3 * steps
