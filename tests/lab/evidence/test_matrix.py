"""The file of a matrix: its cells, their order and their configs."""

from dataclasses import replace
from pathlib import Path

from matrix_case import CONFIGS, write_matrix
from mmengine.config import Config

from lab.evidence.matrix.cell_config import (
    cell_fingerprint,
    resolve_config,
    write_cell_config,
)
from lab.evidence.matrix.matrix import Matrix, find_cell
from lab.evidence.matrix.result import CellResult
from lab.evidence.matrix.workplace import Workplace

SCENES = dict(scenes=True, draw=dict(objects=[1, 1], seed=1), train=20, val=20)
CLASSIFIER = dict(narrow=str(CONFIGS / 'resnet50-narrow_context-scenes.py'))


def names(file):
    return [cell.name for cell in Matrix.read(file).cells()]


def test_cells_come_seed_by_seed(tmp_path):
    file = write_matrix(tmp_path, seeds=[3, 1], depths=[50, 18], schedules={})
    assert names(file) == [
        'faster-rcnn_r50_context-shapes_seed3',
        'faster-rcnn_r50-se_context-shapes_seed3',
        'faster-rcnn_r18_context-shapes_seed3',
        'faster-rcnn_r18-se_context-shapes_seed3',
        'faster-rcnn_r50_context-shapes_seed1',
        'faster-rcnn_r50-se_context-shapes_seed1',
        'faster-rcnn_r18_context-shapes_seed1',
        'faster-rcnn_r18-se_context-shapes_seed1',
    ]


def test_a_cell_is_a_short_config_of_its_own(tmp_path):
    file = write_matrix(tmp_path, attention=dict(none={}, sge=dict(groups=16)), depths=[18])
    plain, sge = Matrix.read(file).cells()
    config = Config.fromfile(str(write_cell_config(sge, tmp_path / 'a')))
    base = Config.fromfile(str(sge.config))
    assert config.model.backbone.attention == dict(type='ge_det.SpatialGroupEnhance', groups=16)
    assert config.model.backbone.depth == 18
    assert config.model.neck.in_channels == [16, 32, 64, 128]
    assert config.train_cfg.max_epochs == 2
    assert config.train_cfg.val_interval == base.train_cfg.val_interval
    assert config.randomness.seed == 0
    assert config.custom_hooks[-1].type == 'ge_det.PairedStart'
    assert len((tmp_path / 'a' / f'{sge.name}.py').read_text().splitlines()) < 20
    other = Config.fromfile(str(write_cell_config(plain, tmp_path / 'b')))
    assert 'attention' not in other.model.backbone


def test_a_schedule_changes_the_config_but_not_what_the_name_of_a_cell_says(tmp_path):
    schedule = {
        'param_scheduler.1.T_max': 3,
        'train_dataloader.batch_size': 2,
        'randomness.seed': 9,
        'custom_hooks': [dict(type='EMAHook')],
        'model.backbone.attention': dict(type='ge_det.GatherExcite'),
    }
    plain, se = Matrix.read(write_matrix(tmp_path, schedules=dict(s=schedule), seeds=[5])).cells()
    config = Config.fromfile(str(write_cell_config(se, tmp_path / 'se')))
    assert config.to_dict() == resolve_config(se).to_dict()
    assert [hook.type for hook in config.custom_hooks] == ['EMAHook', 'ge_det.PairedStart']
    assert config.randomness.seed == 5
    assert config.model.backbone.attention.type == 'ge_det.SqueezeExcite'
    assert [s.type for s in config.param_scheduler] == ['LinearLR', 'CosineAnnealingLR']
    assert (config.param_scheduler[1].T_max, config.param_scheduler[1].end) == (3, 16)
    assert config.train_dataloader.batch_size == 2


def test_a_block_may_stand_in_the_config_itself(tmp_path):
    coco = CONFIGS.parent / 'coco'
    template = f'{coco}/{{folder}}/faster-rcnn_r{{depth}}{{block}}_fpn_2x_coco.py'
    file = write_matrix(tmp_path, detectors={'faster-rcnn': template}, schedules={})
    plain, se = Matrix.read(file).cells()
    assert plain.config == coco / 'baseline/faster-rcnn_r50_fpn_2x_coco.py'
    assert se.config == coco / 'se/faster-rcnn_r50-se_fpn_2x_coco.py'
    config = Config.fromfile(str(write_cell_config(se, tmp_path / 'se')))
    assert 'se-resnet50' in config.model.backbone.pretrained.checkpoint


def test_classifiers_come_before_what_starts_from_them(tmp_path):
    starts = dict(
        own=dict(classifier='narrow'),
        plain=dict(classifier='narrow', attention='none', preserve_function=False),
        less=dict(classifier='narrow', blocks=['none']),
    )
    data = {**Matrix.read(write_matrix(tmp_path)).data}
    data = {name: dict(draw=entry.draw, train=8, val=4) for name, entry in data.items()}
    file = write_matrix(
        tmp_path,
        data={**data, 'context-scenes': SCENES},
        classifiers=CLASSIFIER,
        classifier_data='context-scenes',
        starts=starts,
        seeds=[0, 1],
        schedules={},
    )
    matrix = Matrix.read(file)
    cells = matrix.cells()
    assert [cell.name for cell in cells[:4]] == [
        'narrow_r50_context-scenes_seed0',
        'faster-rcnn_r50_context-shapes_own_seed0',
        'narrow_r50-se_context-scenes_seed0',
        'faster-rcnn_r50-se_context-shapes_own_seed0',
    ]
    assert len(cells) == 2 + 2 * 2 * 2 + 2
    place = Workplace(matrix, tmp_path / 'runs')
    cell = find_cell(cells, 'faster-rcnn_r50-se_context-shapes_plain_seed1')
    assert cell.needs == cells[0].key
    pretrained = Config.fromfile(str(place.experiment(cell).config)).model.backbone.pretrained
    assert pretrained.preserve_function is False
    classifier = (
        tmp_path / f'classifiers/narrow_r50_context-scenes_seed0_{place.fingerprint(cells[0])}'
    )
    assert Path(pretrained.checkpoint).parent == place.folder(cells[0]) == classifier
    assert Workplace(matrix, tmp_path / 'another').folder(cells[0]) == classifier
    assert [c.name for c in Workplace(matrix, tmp_path, only='*-se_*own_seed1').cells] == [
        'narrow_r50-se_context-scenes_seed0',
        'faster-rcnn_r50-se_context-shapes_own_seed1',
    ]


def test_what_has_landed_stands_for_a_cell_that_ran_again(tmp_path):
    matrix = Matrix.read(write_matrix(tmp_path))
    place = Workplace(matrix, tmp_path / 'runs', landed=tmp_path / 'cells')
    cell = place.cells[0]

    own, landed = place.fingerprint(cell), tmp_path / 'cells' / f'{cell.name}.json'

    def result(ap, fingerprint=own):
        metrics = {'bbox': {'all': {'AP': ap}}}
        return CellResult(cell.key, fingerprint, 'x.py', ['train'], metrics)

    result(0.2).write(place.result_file(cell))
    result(0.1).write(landed)
    assert place.result(cell) == result(0.1)
    result(0.1, 'of another').write(landed)
    assert place.result(cell) == result(0.2)
    landed.unlink()
    assert place.result(cell) == result(0.2)


def test_fingerprints_tell_configs_and_data_apart_but_not_places(tmp_path):
    (tmp_path / 'changed').mkdir()
    first = Matrix.read(write_matrix(tmp_path)).cells()
    second = Matrix.read(write_matrix(tmp_path / 'changed', seeds=[1])).cells()
    cells = [first[0], first[1], second[0]]
    found = [cell_fingerprint(cell, resolve_config(cell)) for cell in cells]
    other = replace(first[0], data=replace(first[0].data, groups=dict(one=['buoy'])))
    found.append(cell_fingerprint(other, resolve_config(other)))
    found.append(cell_fingerprint(first[0], resolve_config(first[0]), resamples=3))
    assert len(set(found)) == 5
    for place in ('a', 'b'):
        written = Config.fromfile(str(write_cell_config(first[0], tmp_path / place / 'cell')))
        assert cell_fingerprint(first[0], written) == found[0]


def test_a_matrix_builds_on_another(tmp_path):
    write_matrix(tmp_path)
    (tmp_path / 'more.yaml').write_text(
        '_base_: ./small.yaml\nattention: {_delete_: true, none: , sge: {groups: 16}}\nseeds: [4]\n'
    )
    plain, sge = Matrix.read(tmp_path / 'more.yaml').cells()
    assert sge.arguments == dict(groups=16)
    assert plain.name == 'faster-rcnn_r50_context-shapes_short_seed4'
