"""What counts as the same detections, and how it is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ge_det.export.parity import (
    FLOOR,
    Agreement,
    Tolerance,
    agree,
    deviation,
    first_difference,
    iou,
    largest,
    mask_iou,
)
from ge_det.export.rows import Row, table
from ge_det.export.session import Found


def found(*rows: tuple[float, int], shift: float = 0.0, masks: np.ndarray | None = None) -> Found:
    """Boxes of 100 pixels beside each other, by score and label."""
    boxes = [[200.0 * i + shift, 0, 200.0 * i + 100 + shift, 100] for i in range(len(rows))]
    scores, labels = zip(*rows, strict=True) if rows else ((), ())
    return Found(np.array(boxes).reshape(-1, 4), np.array(scores), np.array(labels), masks)


def test_partners_have_label_place_and_score() -> None:
    one = found((0.9, 0), (0.8, 1))
    assert agree(one, one) == Agreement(4)
    assert agree(one, found((0.9, 0), (0.8, 0))).lacking == 2
    assert agree(one, found((0.9, 0), (0.81, 1))).lacking == 2
    near = agree(one, found((0.9, 0), (0.8, 1), shift=0.2))
    assert near.lacking == 0 and near.worst_iou == pytest.approx(99.8 / 100.2)
    far = agree(one, found((0.9, 0), (0.8, 1), shift=5.0))
    assert far.lacking == 4 and far.share == 0


def test_one_that_is_found_on_one_side_only_is_lacking_whichever_side() -> None:
    more, less = found((0.9, 0), (0.5, 1)), found((0.9, 0))
    for pair in ((more, less), (less, more)):
        assert (agree(*pair).compared, agree(*pair).lacking) == (3, 1)


def test_the_end_of_a_list_may_go_over_the_edge() -> None:
    edge = found((0.9, 0), (FLOOR + 5e-4, 1))
    assert agree(edge, found((0.9, 0))).lacking == 0
    full, other = found((0.9, 0), (0.5, 1)), found((0.9, 0), (0.5, 2))
    assert agree(full, other).lacking == 2
    assert agree(full, other, most=2).lacking == 0  # The third might be either.


def test_what_comes_and_goes_in_pytorch_is_excused() -> None:
    network, file = found((0.9, 0), (0.5, 1)), found((0.9, 0), (0.5, 2))
    both = [network, found((0.9, 0), (0.5, 2))]
    assert agree(network, file, others=[network]).lacking == 2
    excused = agree(network, file, others=both)
    assert (excused.lacking, excused.excused, excused.compared) == (0, 2, 4)
    # One that the network never finds is not, nor one that it always finds.
    neither = [network, found((0.9, 0))]
    assert agree(network, file, others=neither).lacking == 1
    assert agree(network, found((0.9, 0)), others=[network] * 3).lacking == 1
    assert table([Row((64, 64), 1, excused)])[1].split()[-1] == '2'


def test_what_is_below_the_floor_is_not_compared() -> None:
    assert agree(found((0.04, 0)), found((0.03, 1))) == Agreement()


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0.06, 1), st.integers(0, 2)), max_size=6),
    st.randoms(use_true_random=False),
)
def test_the_order_of_a_list_does_not_matter(rows: list[tuple[float, int]], random: object) -> None:
    one = found(*rows)
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    other = Found(one.boxes[order], one.scores[order], one.labels[order])
    assert agree(one, other) == Agreement(2 * len(rows), worst_iou=1.0)


def test_masks_are_compared_between_partners() -> None:
    mask = np.zeros((1, 20, 20), bool)
    mask[0, 5:15, 5:15] = True
    other = mask.copy()
    other[0, 14] = False
    one = found((0.9, 0), masks=mask)
    assert agree(one, one).worst_mask == 1
    worse = agree(one, found((0.9, 0), masks=other))
    assert worse.lacking == 0 and worse.worst_mask == pytest.approx(0.9)
    assert not Row((64, 64), 1, worse).holds(Tolerance())
    assert worse.off_masks == 2
    other[:] = False  # As of a file whose masks are nowhere.
    nowhere = agree(one, found((0.9, 0), masks=other))
    assert nowhere.worst_mask == 0 and not Row((64, 64), 1, nowhere).holds(Tolerance())
    other[:] = mask
    other[0, 5, 5] = False
    assert mask_iou(mask[0], other[0]) == 1


def test_overlaps() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [3, 3, 3, 3]], float)
    assert iou(boxes[0], boxes).tolist() == [1, pytest.approx(1 / 3), 0, 0]
    assert iou(boxes[3], boxes)[3] == 1  # Of no area, and still the same.


def test_the_first_stage_that_is_off() -> None:
    stages = dict(a=np.ones((2, 3)), b=np.full(4, 100.0), c=np.zeros(2))
    assert first_difference(stages, stages) is None
    assert first_difference(stages, {**stages, 'b': stages['b'] + 1e-3}) is None
    assert first_difference(stages, {**stages, 'c': np.ones(2), 'b': stages['b'] + 1}) == (
        'b',
        pytest.approx(0.01),
    )
    name, off = first_difference(stages, {**stages, 'a': stages['a'] * np.nan}) or ('', 0)
    assert name == 'a' and np.isnan(off)
    assert deviation(np.ones((2, 3)), np.ones((3, 2))) == float('inf')
    assert np.isnan(largest([1e-6, float('nan'), 2.0]))


def test_what_holds() -> None:
    exact, loose = Tolerance(), Tolerance(share=0.1)
    wrong = Row((64, 96), 2, Agreement(20, 1))
    assert not wrong.holds(exact) and wrong.holds(loose)
    assert Row((64, 96), 1, Agreement(20, excused=4)).holds(exact)
    assert not Row((64, 96), 1, Agreement(20, excused=5)).holds(exact)  # Not by chance.
    masks = Row((64, 96), 1, Agreement(20, 1, off_masks=1))
    assert masks.holds(loose) and not masks.holds(Tolerance(share=0.09))
    assert Row((64, 96), 1, Agreement()).holds(exact)
    assert Row((64, 96), 1, deviation=1e-6).holds(exact)
    assert not Row((64, 96), 1, deviation=float('nan')).holds(exact)


def test_the_table() -> None:
    rows = [Row((800, 1344), 1, Agreement(12, 0, 0.9999, 2e-6)), Row((96, 64), 2, Agreement())]
    head, first, second = table(rows)
    assert head.split()[:3] == ['size', 'batch', 'detections'] and 'edge' not in head
    assert first.split() == ['800x1344', '1', '12', '0', '0.99990', '2.0e-06']
    assert second.split() == ['96x64', '2', '0', '0', '-', '-']
    maps = table([Row((64, 64), 1, deviation=2e-6)])
    assert maps[1].split() == ['64x64', '1', '2.0e-06']
    masks = table([Row((64, 64), 1, Agreement(2, worst_mask=0.995))])
    assert masks[1].split()[-1] == '0.9950' and 'masks' in masks[0]
