"""Weights that are no numbers to use are refused in one line, whoever reads them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ge_det.errors import CheckpointError
from ge_det.reading.soundness import LARGEST, check_sound, find_faults

NAN, INF = float('nan'), float('inf')


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('conv1.weight', torch.tensor([1.0, NAN]), r"'a.conv1.weight' holds NaN \(1 of 2 values\)"),
        ('conv1.weight', torch.tensor([1.0, -INF]), r'holds infinity \(1 of 2'),
        ('gamma', torch.tensor([NAN], dtype=torch.bfloat16), 'holds NaN'),
        ('gamma', torch.tensor([NAN]).to(torch.float8_e4m3fn), 'holds NaN'),
        ('conv1.weight', torch.tensor([1e300], dtype=torch.float64), r'holds more than 1.8e\+19'),
        ('conv1.weight', torch.tensor([2e19]), 'whose square is infinite'),
        ('bn1.running_var', torch.tensor([1.0, -1e-9]), r'negative variances \(1 of 2'),
        ('conv1.weight', torch.ones(2, dtype=torch.int8), 'is int8, not floating point'),
        ('conv1.bias', torch.ones(2, dtype=torch.bool), 'is bool, not floating point'),
        ('freqs', torch.ones(2, dtype=torch.complex64), 'is complex'),
        ('conv1.weight', torch.ones(0, 3), 'is without elements'),
        ('gamma', torch.eye(2).to_sparse(), 'is sparse'),
        ('gamma', torch.empty(2, device='meta'), 'without content'),
    ],
)
def test_what_is_refused(name, value, message):
    good = {'b.weight': torch.ones(2), 'b.num_batches_tracked': torch.tensor(3)}
    with pytest.raises(CheckpointError, match=rf'^x\.pth: .*{message}') as caught:
        check_sound({f'a.{name}': value, **good}, 'x.pth')
    assert '\n' not in str(caught.value)
    # What a network may be trained with, though no file of it is read here, counts as a kind.
    of_values = message.startswith(("'a.conv1.weight' holds", 'holds', 'whose', 'negative'))
    assert bool(find_faults({name: value, **good}, kinds=False)) == of_values


def test_kinds_are_counted_apart():
    broken = dict.fromkeys('abc', torch.tensor(NAN)) | {'d': torch.tensor(INF)}
    assert find_faults(broken) == [
        "'a' holds NaN (1 of 1 value), as 2 tensors more",
        "'d' holds infinity (1 of 1 value)",
    ]


@pytest.mark.parametrize(
    'optimizer',
    [
        dict(state={0: dict(momentum_buffer=torch.tensor([NAN]))}, param_groups=[dict(lr=0.1)]),
        dict(state={0: dict(exp_avg_sq=torch.tensor([-1.0]))}, param_groups=[]),
        dict(state={}, param_groups=[dict(lr=NAN)]),
        dict(state={}, param_groups=[dict(lr=INF)]),
        dict(generator=dict(state={0: dict(exp_avg=torch.tensor([INF]))})),
    ],
)
def test_the_state_of_an_optimizer_is_looked_at(optimizer):
    with pytest.raises(CheckpointError, match=r"'optimizer\."):
        check_sound(dict(state_dict={}, optimizer=optimizer), 'epoch_1.pth')


def test_what_is_rightly_infinite():
    content = dict(
        state_dict={'attn.mask': torch.full((2, 2), -INF), 'index': torch.ones(2).long()},
        message_hub=dict(log_scalars=dict(grad_norm=[INF, NAN])),
        meta=dict(best=-INF),
        optimizer=dict(state={}, param_groups=[dict(lr=0.1, growth_rate=INF)]),
    )
    assert find_faults(content) == []


@settings(deadline=None, max_examples=100, database=None)
@given(
    st.lists(st.floats(width=64), min_size=1, max_size=4),
    st.sampled_from(['w', 'conv.weight', 'bn.running_mean']),
)
def test_it_is_sound_if_float32_can_hold_its_squares(values, name):
    tensor = torch.tensor(values, dtype=torch.float64)
    squares = tensor.float().double().square()
    is_usable = bool((squares <= torch.finfo(torch.float32).max).all())
    near_the_bound = bool(((tensor.abs() / LARGEST - 1).abs() < 1e-6).any())
    assert near_the_bound or (find_faults({name: tensor}) == []) == is_usable
