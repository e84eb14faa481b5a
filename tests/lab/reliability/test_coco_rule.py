"""What the check of COCO files passes, trains and scores 1.0; the rest is one line a kind."""

from __future__ import annotations

import contextlib
import copy
import json
import random
import tempfile
from pathlib import Path

import pytest
from coco_folder import Folder
from hypothesis import given, settings
from hypothesis import strategies as st

from ge_det.datasets.coco_check import check_coco
from lab.reliability.coco_mutations import MUTATIONS, to_bytes
from lab.reliability.coco_rule import broken_rule

NAMES = sorted(MUTATIONS)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp('coco'))


def verdict(folder: Folder, side: str, names: list[str], seed: int, masks: bool) -> str | None:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=folder.root) as scratch:
        paths = []
        for role in ('train', 'val'):
            data = getattr(folder, role)
            for name in names if side in (role, 'both') else []:
                # The second may not be able to take what the first has left.
                with contextlib.suppress(AttributeError, IndexError, KeyError, TypeError):
                    data = MUTATIONS[name](data, rng)
            paths.append(Path(scratch, f'{role}.json'))
            paths[-1].write_bytes(to_bytes(data))
        report = check_coco(*paths, folder.images, folder.images, with_masks=masks)
        return broken_rule(report, Path(scratch), folder.images, masks)


# What users have met. The property test below draws from all mutations.
MET = [
    *('annotation ids from zero', 'category ids reversed', 'categories shuffled'),
    *(f'{kind} ids {how}' for kind in ('image', 'category') for how in ('as text', 'uuid', 'huge')),
    *('image ids mixed', 'images.id one digit as text'),
    *('utf-8', 'byte order mark', 'latin-1', 'utf-16', 'nested 900 deep'),
    *(f'annotations.ignore all {value}' for value in ('two', 'true', 'digit as text')),
    *(f'annotations.area all {value}' for value in ('text', 'digit as text', 'list', 'zero')),
    *('box all tiny', 'annotations.bbox one 400 digits', 'images.width one 400 digits'),
    *(
        f'mask one {form}'
        for form in (
            *('short runs', 'garbage', 'fractions', 'pairs', 'nested pairs'),
            *('a nan', 'a none', 'texts', 'beyond 1e8'),
        )
    ),
]


@pytest.mark.parametrize('name', MET)
def test_what_users_have_met(folder: Folder, name: str) -> None:
    assert verdict(folder, 'both', [name], 0, True) is None


def test_the_good_set_holds(folder: Folder) -> None:
    assert verdict(folder, 'both', [], 0, True) is None


@settings(deadline=None, max_examples=200, database=None)
@given(
    side=st.sampled_from(['train', 'val', 'both']),
    names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=2),
    seed=st.integers(0, 2**32 - 1),
    masks=st.booleans(),
)
def test_what_passes_trains_and_scores(
    folder: Folder, side: str, names: list[str], seed: int, masks: bool
) -> None:
    assert verdict(folder, side, names, seed, masks) is None


@settings(deadline=None, max_examples=150, database=None)
@given(names=st.lists(st.text(max_size=8), min_size=4, max_size=4), in_ascii=st.booleans())
def test_names_of_any_letters_train_and_score_or_are_told(
    folder: Folder, names: list[str], in_ascii: bool
) -> None:
    """Class names of both sides and ids of pictures."""
    train, val = copy.deepcopy(folder.train), copy.deepcopy(folder.val)
    for data in (train, val):
        for category, name in zip(data['categories'], names, strict=False):
            category['name'] = name
    images = dict(zip((11, 12), names[2:], strict=True))
    for record, key in [(i, 'id') for i in val['images']] + [
        (a, 'image_id') for a in val['annotations']
    ]:
        record[key] = images[record[key]]
    with tempfile.TemporaryDirectory(dir=folder.root) as scratch:
        paths = [Path(scratch, 'train.json'), Path(scratch, 'val.json')]
        for path, data in zip(paths, (train, val), strict=True):
            text = json.dumps(data, ensure_ascii=in_ascii)
            path.write_bytes(text.encode('utf-8', 'surrogatepass'))
        report = check_coco(*paths, folder.images, folder.images)
        assert broken_rule(report, Path(scratch), folder.images) is None


def edges(size: int) -> st.SearchStrategy[tuple[float, float]]:
    """Where a box begins and ends along one side of the picture, up to a pixel outside."""
    near = [-1, -0.5, 0, 0.5, 1, size - 1, size - 0.5, size, size + 0.5, size + 1]
    edge = st.sampled_from(near) | st.floats(-1, size + 1) | st.integers(-1, size + 1)
    return st.lists(edge, min_size=2, max_size=2, unique=True).map(sorted).map(tuple)


@settings(deadline=None, max_examples=150, database=None)
@given(
    boxes=st.lists(st.tuples(edges(40), edges(30)), min_size=3, max_size=3),
    crowd=st.integers(0, 3),
    masks=st.booleans(),
)
def test_boxes_of_any_numbers_train_and_score_or_are_told(
    folder: Folder, boxes: list[tuple[tuple[float, float], ...]], crowd: int, masks: bool
) -> None:
    """In and around the picture; one may be a crowd region."""
    data = copy.deepcopy(folder.val)
    for index, (record, box) in enumerate(zip(data['annotations'], boxes, strict=True)):
        (left, right), (top, bottom) = box
        polygon = [left, top, right, top, right, bottom, left, bottom]
        record['bbox'] = [left, top, right - left, bottom - top]
        record.update(area=(right - left) * (bottom - top), segmentation=[polygon])
        record['iscrowd'] = int(index == crowd)
    with tempfile.TemporaryDirectory(dir=folder.root) as scratch:
        paths = [Path(scratch, 'train.json'), Path(scratch, 'val.json')]
        for path, content in zip(paths, (folder.train, data), strict=True):
            path.write_text(json.dumps(content))
        report = check_coco(*paths, folder.images, folder.images, with_masks=masks)
        assert broken_rule(report, Path(scratch), folder.images, masks) is None
