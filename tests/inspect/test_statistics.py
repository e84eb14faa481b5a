"""What is said of gates, against the same worked out at once or by hand."""

import math

import pytest
import torch
from block_cases import BLOCKS, CHANNELS, random_block
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ge_det import GatherExcite, ResolutionGuidedSE, SpatialGroupEnhance, SqueezeExcite
from ge_det.inspect.gate_table import conclusion
from ge_det.inspect.moments import Moments
from ge_det.inspect.recording import record_gates
from ge_det.inspect.statistics import GateStatistics, lengths_of


def summary_of(block, batches):
    network = nn.Sequential(block).eval()
    statistics = GateStatistics(network)
    with record_gates(network, statistics.watch), torch.no_grad():
        for x in batches:
            network(x)
    (summary,) = statistics.summaries()
    return summary


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.floats(-1e3, 1e3), max_size=6), min_size=1, max_size=6))
def test_moments_are_those_of_all_values_at_once(batches):
    moments = Moments()
    for batch in batches:
        moments.add(torch.tensor(batch, dtype=torch.float64))
    values = torch.tensor([value for batch in batches for value in batch], dtype=torch.float64)
    if not len(values):
        assert math.isnan(moments.mean) and math.isnan(moments.variance)
        return
    assert moments.mean == pytest.approx(float(values.mean()), abs=1e-9)
    assert moments.variance == pytest.approx(float(values.var(correction=0)), abs=1e-6)


@pytest.mark.parametrize('name', ['se', 'sge', 'ge-theta_plus-4', 'sp-se', 'rg-se-4'])
@torch.no_grad()
def test_statistics_of_several_batches_are_those_of_all_pictures(name):
    block = random_block(name).eval()
    x = torch.randn(7, CHANNELS, 8, 8, dtype=torch.float64)
    summary = summary_of(block, x.split((1, 3, 0, 3)))
    coarse, gated = block.coarse_gate(x), block(x)
    groups = coarse.shape[1]
    assert summary.pictures == 7
    assert summary.mean == pytest.approx(float(coarse.mean()))
    assert (summary.lowest, summary.highest) == (float(coarse.min()), float(coarse.max()))
    assert summary.near_zero == float((coarse < 0.05).double().mean())
    assert summary.near_one == float((coarse > 0.95).double().mean())
    means = coarse.mean((2, 3))
    assert summary.over_pictures == pytest.approx(
        float(means.var(0, correction=0).mean().sqrt()), abs=1e-7
    )
    assert summary.over_positions == pytest.approx(
        float(coarse.var((2, 3), correction=0).mean().sqrt()), abs=1e-7
    )
    assert summary.over_channels == pytest.approx(float(means.mean(0).std(correction=0)))
    for kind, features in (('before', x), ('after', gated)):
        lengths = lengths_of(features, groups)
        assert getattr(summary, f'length_{kind}') == pytest.approx(float(lengths.mean()))
        assert getattr(summary, f'variance_{kind}') == pytest.approx(
            float(lengths.var(correction=0))
        )


def test_lengths_by_hand():
    x = torch.tensor([3.0, 4.0, 0.0, -2.0]).view(1, 4, 1, 1)
    assert lengths_of(x, 2).flatten().tolist() == [5, 2]
    assert lengths_of(x, 4).flatten().tolist() == [3, 4, 0, 2]
    assert lengths_of(x.half(), 1).dtype == torch.float32


def images():
    return [torch.randn(2, 8, 6, 6) * scale for scale in (1, 3)]


def test_a_gate_that_never_moved_is_told():
    fresh = SqueezeExcite(8, ratio=4)
    fresh.make_constant()
    assert summary_of(fresh, images()).verdict == (
        'has not moved from its start: 0.50 whatever it sees'
    )
    authors = SpatialGroupEnhance(8, groups=4)  # weight 0, bias 1
    assert summary_of(authors, images()).verdict == (
        'has not moved from its start: 0.73 whatever it sees'
    )


def test_other_verdicts():
    working = SqueezeExcite(8, ratio=4)
    nn.init.normal_(working.conv2.conv.weight, std=2)
    assert summary_of(working, images()).verdict == 'works'
    still = SqueezeExcite(8, ratio=4)
    nn.init.constant_(still.conv2.conv.weight, 1e-3)
    assert summary_of(still, images()).verdict.startswith('hardly depends on what it sees')
    saturated = SpatialGroupEnhance(8, groups=4)
    nn.init.constant_(saturated.weight, 50)
    told = summary_of(saturated, images())
    assert told.verdict.startswith('saturated in') and told.near_zero + told.near_one > 0.8
    plain = GatherExcite(8, variant='theta_minus', extent=2)
    assert summary_of(plain, images()).verdict == 'works, and has nothing to learn'


def silenced(block, layer):
    """With every hidden unit far below zero, and a second layer that would say something."""
    nn.init.constant_(layer.bias, -100)
    for bias in (one for name, one in block.named_parameters() if name.endswith('bias')):
        if bias is not layer.bias:
            nn.init.normal_(bias)
    return block.eval()


@pytest.mark.parametrize(
    'block, layer',
    [
        (SqueezeExcite(8, ratio=4), 'conv1.conv'),
        (GatherExcite(8, variant='theta_plus', extent=2, ratio=4), 'excite.down'),
        (ResolutionGuidedSE(8, grid=2, ratio=4), 'excite.down'),
    ],
    ids=['se', 'ge-theta-plus-e2', 'rg-se'],
)
def test_hidden_units_that_never_answer_are_told(block, layer):
    told = summary_of(silenced(block, block.get_submodule(layer)), images())
    assert told.verdict.endswith('its hidden units are silent') and not told.constant
    assert conclusion([told]).startswith(
        'Of 1 gate, 1 hardly depend on what they see; of these, 1 have silent hidden units'
    )
    # One unit that answers is enough.
    with torch.no_grad():
        block.get_submodule(layer).bias[0] = 100
    assert not summary_of(block, images()).silent


def test_gates_that_are_still_for_another_reason_are_not_silent():
    still = SqueezeExcite(8, ratio=4)
    nn.init.constant_(still.conv2.conv.weight, 1e-3)
    assert not summary_of(still, images()).silent
    authors = SpatialGroupEnhance(8, groups=4)
    nn.init.constant_(authors.weight, 1e-9)
    told = summary_of(authors, images())
    assert told.verdict.startswith('hardly') and not told.silent
    fresh = SqueezeExcite(8, ratio=4)
    fresh.make_constant()
    assert summary_of(fresh, images()).constant and not summary_of(fresh, images()).silent


def test_one_picture_cannot_tell():
    working = SqueezeExcite(8, ratio=4)
    nn.init.normal_(working.conv2.conv.weight, std=2)
    alone, several = (summary_of(working, [x]) for x in (images()[0][:1], torch.randn(9, 8, 6, 6)))
    assert alone.verdict.startswith('one picture cannot tell whether it depends on what it sees')
    assert conclusion([alone, several]) == (
        'Of 2 gates, 1 may depend on what they see or not: give two pictures to tell.'
    )


def test_memory_does_not_grow_with_the_pictures():
    """All that is kept are sums."""
    network = nn.Sequential(BLOCKS['sge'](CHANNELS)).eval()
    statistics = GateStatistics(network)
    sizes = set()
    with record_gates(network, statistics.watch), torch.no_grad():
        for _ in range(1000):
            network(torch.randn(1, CHANNELS, 6, 6))
            seen = vars(statistics._seen['0'])
            sizes.add(sum(one.numel() for one in seen.values() if isinstance(one, torch.Tensor)))
    assert len(sizes) == 1 and statistics.summaries()[0].pictures == 1000
