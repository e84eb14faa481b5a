"""Published costs against ours: which come out, and that the verdict is computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import torch

from lab.cost import table
from lab.cost.comparison import Agreement, CostComparison, compare, count_line
from lab.cost.published import PUBLISHED, SE, SGE, SGE_DETECTION

# Learned parameters of the plain networks, as counted in the authors' files.
PLAIN = {50: 25_557_032, 101: 44_549_160}


@pytest.fixture(scope='module')
def compared() -> Iterator[list[CostComparison]]:
    """All lines of the SE paper, and those of the others that are quick to count."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    quick = (
        line
        for line in PUBLISHED
        if line.source == SE or (line.depth == 50 and line.source != SGE_DETECTION)
    )
    yield compare(quick)
    torch.set_num_threads(threads)


def test_resnet_50_has_the_two_well_known_costs(compared: list[CostComparison]) -> None:
    networks = {c.published.source.style: c.flops for c in compared if c.published.network == 'R50'}
    assert networks['pytorch'].counted['layers'] == 4_121_924_096
    assert networks['caffe'].counted['multiply-adds'] == 3_857_973_248


def test_published_figures_come_out(compared: list[CostComparison]) -> None:
    differing = {
        c.published.network: (str(c.parameters), str(c.flops))
        for c in compared
        if not all(figure is None or figure.is_equal for figure in (c.parameters, c.flops))
    }
    assert differing == {
        'R50 ge-theta': ('equal', 'no, 3.86; equal by: pooling, gates in full'),
        'R101 se': ('None', 'no, 7.59; equal by: sums, gates in full'),
    }


def test_the_remark_about_resnet_50_is_true(compared: list[CostComparison]) -> None:
    remarked = {
        (line.source, line.attention)
        for line in PUBLISHED
        if 'R50 would be 0.01 higher' in line.remark
    }
    shallow = [
        comparison
        for comparison in compared
        if comparison.published.depth == 50
        and (comparison.published.source, comparison.published.attention) in remarked
    ]
    assert len(shallow) == len(remarked) == 3
    for comparison in shallow:
        count = comparison.flops.counted['sums, gates in full']
        assert f'{count / 1e9:.2f}' == f'{float(comparison.published.gflops) + 0.01:.2f}'


def test_the_remark_about_rounding_is_true() -> None:
    remarked = [line for line in PUBLISHED if 'rounded twice' in line.remark]
    assert {line.parameters for line in remarked} == {'44.6'}
    assert {line.attention for line in remarked} == {'none', 'ge-theta-minus'}
    assert f'{PLAIN[101] / 1e6:.2f}' == '44.55'
    assert f'{PLAIN[101] / 1e6:.1f}' == '44.5'


def test_agreement_is_computed() -> None:
    line = next(line for line in PUBLISHED if line.source == SGE and line.attention == 'none')
    assert line.gflops == '4.122'
    wrong = dataclasses.replace(line, gflops='4.123', parameters='25.57')
    right, off = compare([line, wrong])
    assert (str(right.flops), str(right.parameters)) == ('equal', 'equal')
    assert (str(off.flops), str(off.parameters)) == ('no, 4.122', 'no, 25.56')
    text = table.comparison_table([right, off])
    assert text.startswith(f'published: {SGE.title}')
    assert text.endswith('2 of 4 published figures are equal to the printed digits.')


def test_digits_decide() -> None:
    counted = {'a': 4_122_400_000, 'b': 4_122_600_000}
    assert Agreement('4.122', 1e9, counted, 'a').is_equal
    other = Agreement('4.123', 1e9, counted, 'a')
    assert str(other) == 'no, 4.122; equal by: b'
    assert not Agreement('4.13', 1e9, counted, 'b').is_equal


def test_the_detection_backbone_is_counted_pooled_and_without_the_classifier() -> None:
    line = next(line for line in PUBLISHED if line.source == SGE_DETECTION)
    cost = count_line(line)
    assert cost.parameters[''].total == PLAIN[50] - 2_049_000
    assert f'{cost.flops(trunk="layers") / 1e9:.3f}' == line.gflops == '88.032'
    without_pool = cost.flops('backbone', trunk='layers')
    assert f'{without_pool / 1e9:.3f}' == '88.029'
