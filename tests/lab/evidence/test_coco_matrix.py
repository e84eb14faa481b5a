"""The matrices of the COCO reproduction name the configs of this folder, each with its block."""

from __future__ import annotations

from collections import Counter

import pytest
from coco_matrix import BLOCK, COCO, DEEP, DETECTORS, R50, R101
from mmengine.config import Config

from lab.evidence.matrix.config import config_text
from lab.evidence.matrix.matrix import Matrix
from lab.evidence.run.workspace import Workspace

PUBLISHED = ('baseline', 'se', 'ge-theta-e8', 'sge')
EVERY = [('matrix.yaml', 50, R50, BLOCK), ('matrix-r101.yaml', 101, R101, DEEP)]


@pytest.mark.parametrize(('name', 'depth', 'cases', 'blocks'), EVERY)
def test_every_config_is_run_with_three_seeds_and_the_published_blocks_with_five(
    name, depth, cases, blocks
):
    cells = Matrix.read(COCO / name).cells()
    runs = Counter((cell.base.resolve(), cell.key.seed) for cell in cells)
    assert runs == {
        (case.path.resolve(), seed): 1
        for case in cases
        for seed in range(5 if case.block in PUBLISHED else 3)
    }
    assert {cell.key.detector for cell in cells} == set(DETECTORS)
    for cell in cells:
        folder = 'baseline' if cell.key.attention == 'none' else cell.key.attention
        assert cell.base.parent.name == folder
        assert folder in blocks
        assert cell.base.name.startswith(f'{cell.key.detector}_r{depth}')
    # All rows of the table before the next seed.
    assert [cell.key.seed for cell in cells] == sorted(cell.key.seed for cell in cells)


@pytest.mark.parametrize(
    ('matrix', 'name'),
    [
        ('matrix.yaml', 'faster-rcnn_r50_coco2017_seed0'),
        ('matrix.yaml', 'retinanet_r50-ge-theta-plus_coco2017_seed2'),
        ('matrix-r101.yaml', 'cascade-rcnn_r101-se_coco2017_seed1'),
    ],
)
def test_a_cell_is_its_config_with_a_seed_and_a_paired_start(tmp_path, matrix, name):
    run = Workspace(Matrix.read(COCO / matrix), tmp_path, only=name).find(name)
    (tmp_path / 'cell.py').write_text(config_text(run.config))
    found = Config.fromfile(tmp_path / 'cell.py').to_dict()
    assert found.pop('randomness') == dict(seed=int(name[-1]))
    assert found.pop('custom_hooks') == [dict(type='PairedStart')]
    assert found.pop('custom_imports') == dict(imports=['lab.evidence.training.pairing'])
    expected = Config.fromfile(run.cell.base).to_dict()
    assert not {'randomness', 'custom_hooks', 'custom_imports'} & set(expected)
    assert found == expected


def test_the_pictures_are_those_with_objects_of_the_configs_set(tmp_path):
    # 118287 pictures less the 1021 without objects; 8 GPUs with 2 each take 7330 iterations.
    run = Workspace(Matrix.read(COCO / 'matrix.yaml'), tmp_path, only='faster*_seed0').runs[0]
    assert run.cell.data.train == 118287 - 1021
    data = Config.fromfile(run.cell.base).train_dataloader
    assert data.batch_size == 2
    assert data.dataset.filter_cfg.filter_empty_gt
    assert data.dataset.ann_file == 'annotations/instances_train2017.json'
    assert data.dataset.data_root == 'data/coco/'
    assert run.iterations == 24 * 7330
