"""Classes in another order than mmdet's labels are refused: names and results would be wrong."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from coco_folder import coco
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip('mmdet')

from mmdet.datasets import CocoDataset
from mmdet.evaluation import CocoMetric
from mmengine.config import Config

from ge_det.cli.class_order import check_class_order
from ge_det.cli.config_data import DataSet, class_names, data_sets
from ge_det.errors import UserError

NAMES = ('cat', 'dog', 'emu')


def write(folder: Path, *categories: tuple[int, str]) -> str:
    records = [dict(id=number, name=name) for number, name in categories]
    content = json.dumps({**coco(), 'annotations': [], 'categories': records})
    (folder / 'one.json').write_text(content)
    return str(folder / 'one.json')


def check(classes: Any, file: str, **options: Any) -> None:
    data = dict(type='CocoDataset', ann_file=file)
    if classes:
        data['metainfo'] = dict(classes=classes)
    wrapped = dict(type='RepeatDataset', dataset=dict(type='ConcatDataset', datasets=[data]))
    cfg = Config(dict(test_dataloader=dict(dataset=options.pop('dataset', wrapped)), **options))
    check_class_order(cfg, data_sets(cfg, 'test'))


@settings(deadline=None, max_examples=60, database=None)
@given(
    st.permutations(NAMES),
    st.permutations([3, 7, 12]),
    st.permutations(NAMES).flatmap(lambda names: st.integers(1, 3).map(lambda n: names[:n])),
    st.booleans(),
)
def test_passes_what_mmdet_numbers_as_the_config_does(there, ids, classes, is_sorted) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder), *zip(ids, there, strict=True))
        names = dict(zip(ids, there, strict=True))
        made = CocoDataset(
            ann_file=file, data_prefix=dict(img=''), metainfo=dict(classes=classes), lazy_init=True
        )
        made.load_data_list()
        metric = CocoMetric(ann_file=file, sort_categories=is_sorted)
        by_metric = metric._coco_api.get_cat_ids(cat_names=classes)
        evaluator = dict(type='CocoMetric', ann_file=file, sort_categories=is_sorted)
        other = dict(type='CocoDataset', ann_file='', metainfo=dict(classes=classes))
        for found, options in (
            (made.cat_ids, {}),
            (by_metric, dict(dataset=other, test_evaluator=[evaluator])),
        ):
            is_right = [names[number] for number in found] == list(classes)
            try:
                check(classes, file, **options)
            except UserError as error:
                assert not is_right and '\n' not in str(error)
                assert ', '.join(map(repr, classes)) in str(error)
            else:
                assert is_right


def test_classes_that_no_one_has_named_are_cocos(tmp_path: Path) -> None:
    check((), write(tmp_path, *enumerate(CocoDataset.METAINFO['classes'])))
    with pytest.raises(UserError, match=r"no category is named 'person'.*metainfo\.classes"):
        check((), write(tmp_path, (1, 'cat')))
    moved = ('airplane', *(name for name in CocoDataset.METAINFO['classes'] if name != 'airplane'))
    with pytest.raises(UserError, match='another order') as caught:
        check((), write(tmp_path, *enumerate(moved)))
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize('kind', ['CocoDataset', 'mmdet.datasets.coco.CocoDataset', CocoDataset])
def test_the_classes_of_a_type_in_any_form(kind) -> None:
    assert class_names(DataSet('test', dict(type=kind))) == CocoDataset.METAINFO['classes']
