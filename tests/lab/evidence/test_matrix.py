"""The file of a matrix: its cells, their order and their configs."""

from dataclasses import replace
from pathlib import Path

import pytest
from matrix_case import CONFIGS, write_matrix
from mmengine.config import Config

from ge_det.errors import UserError
from lab.evidence.matrix.config import cell_fingerprint, config_text, resolve_config
from lab.evidence.matrix.matrix import Matrix
from lab.evidence.results.result import CellResult
from lab.evidence.run.workspace import Workspace

SCENES = dict(scenes=True, draw=dict(objects=[1, 1], seed=1), train=20, val=20)
CLASSIFIER = dict(narrow=str(CONFIGS / 'resnet50-narrow_context-scenes.py'))


def names(file):
    return [cell.key.name for cell in Matrix.read(file).cells()]


def written(cell, folder):
    """The config of a cell as MMEngine reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'cell.py').write_text(config_text(resolve_config(cell)))
    return Config.fromfile(str(folder / 'cell.py'))


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


def test_a_cell_is_a_config_of_its_own(tmp_path):
    file = write_matrix(tmp_path, attention=dict(none={}, sge=dict(groups=16)), depths=[18])
    plain, sge = Matrix.read(file).cells()
    config = written(sge, tmp_path / 'a')
    base = Config.fromfile(str(sge.base))
    assert config.model.backbone.attention == dict(type='ge_det.SpatialGroupEnhance', groups=16)
    assert config.model.backbone.depth == 18
    assert config.model.neck.in_channels == [16, 32, 64, 128]
    assert config.train_cfg.max_epochs == 2
    assert config.train_cfg.val_interval == base.train_cfg.val_interval
    assert config.randomness.seed == 0
    assert config.custom_hooks[-1].type == 'PairedStart'
    assert config.custom_hooks[:-1] == base.custom_hooks
    other = written(plain, tmp_path / 'b')
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
    config = written(se, tmp_path / 'se')
    changed = dict(custom_hooks=config.pop('custom_hooks'), imports=config.pop('custom_imports'))
    resolved = resolve_config(se).to_dict()
    assert resolved.pop('custom_hooks') == changed['custom_hooks'][:-1]
    assert config.to_dict() == resolved
    assert [hook.type for hook in changed['custom_hooks']] == ['EMAHook', 'PairedStart']
    assert config.randomness.seed == 5
    assert config.model.backbone.attention.type == 'ge_det.SqueezeExcite'
    assert 'attention' not in resolve_config(plain).model.backbone
    assert [s.type for s in config.param_scheduler] == ['LinearLR', 'CosineAnnealingLR']
    assert (config.param_scheduler[1].T_max, config.param_scheduler[1].end) == (3, 16)
    assert config.train_dataloader.batch_size == 2


def test_a_block_may_stand_in_the_config_itself(tmp_path):
    coco = CONFIGS.parents[1] / 'configs/coco'
    template = f'{coco}/{{folder}}/faster-rcnn_r{{depth}}{{block}}_fpn_2x_coco.py'
    file = write_matrix(tmp_path, detectors={'faster-rcnn': template}, schedules={})
    plain, se = Matrix.read(file).cells()
    assert plain.base == coco / 'baseline/faster-rcnn_r50_fpn_2x_coco.py'
    assert se.base == coco / 'se/faster-rcnn_r50-se_fpn_2x_coco.py'
    config = written(se, tmp_path / 'se')
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
    assert [cell.key.name for cell in cells[:4]] == [
        'narrow_r50_context-scenes_seed0',
        'faster-rcnn_r50_context-shapes_own_seed0',
        'narrow_r50-se_context-scenes_seed0',
        'faster-rcnn_r50-se_context-shapes_own_seed0',
    ]
    assert len(cells) == 2 + 2 * 2 * 2 + 2
    space = Workspace(matrix, tmp_path / 'runs')
    first, run = space.runs[0], space.find('faster-rcnn_r50-se_context-shapes_plain_seed1')
    assert run.needs is first
    pretrained = run.config.model.backbone.pretrained
    assert pretrained.preserve_function is False
    folder = tmp_path / f'classifiers/narrow_r50_context-scenes_seed0_{first.fingerprint}'
    assert Path(pretrained.checkpoint) == run.start == first.checkpoint
    assert run.start.parent == first.folder == folder
    assert Workspace(matrix, tmp_path / 'another').runs[0].folder == folder
    assert [r.name for r in Workspace(matrix, tmp_path, only='*-se_*own_seed1').runs] == [
        'narrow_r50-se_context-scenes_seed0',
        'faster-rcnn_r50-se_context-shapes_own_seed1',
    ]


def test_what_is_committed_stands_for_a_cell_that_ran_again(tmp_path):
    matrix = Matrix.read(write_matrix(tmp_path))
    space = Workspace(matrix, tmp_path / 'runs', committed=tmp_path / 'cells')
    run = space.runs[0]
    committed = tmp_path / 'cells' / f'{run.name}.json'

    def result(ap, fingerprint=run.fingerprint):
        metrics = {'bbox': {'all': {'AP': ap}}}
        return CellResult(run.key, fingerprint, 'x.py', ['train'], metrics)

    result(0.2).write(run.result_file)
    result(0.1).write(committed)
    assert space.result(run) == result(0.1)
    result(0.1, 'of another').write(committed)
    assert space.result(run) == result(0.2)
    committed.unlink()
    assert space.result(run) == result(0.2)


def test_fingerprints_tell_configs_and_data_apart_but_not_places(tmp_path):
    (tmp_path / 'changed').mkdir()
    matrix = Matrix.read(write_matrix(tmp_path))
    first = matrix.cells()
    second = Matrix.read(write_matrix(tmp_path / 'changed', seeds=[1])).cells()
    data = first[0].data.model_copy(update=dict(groups=dict(one=['buoy'])))
    cells = [first[0], first[1], second[0], replace(first[0], data=data)]
    found = [cell_fingerprint(cell, resolve_config(cell), '', matrix) for cell in cells]
    for change in (dict(resamples=3), dict(processes=2)):
        changed = matrix.model_copy(update=change)
        found.append(cell_fingerprint(first[0], resolve_config(first[0]), '', changed))
    assert len(set(found)) == 6
    start = tmp_path / 'start.pth'
    for upstream, same in (('a', True), ('b', False)):
        prints = {
            cell_fingerprint(first[0], resolve_config(first[0], folder / 'x.pth'), name, matrix)
            for folder, name in ((tmp_path, 'a'), (start, upstream))
        }
        assert (len(prints) == 1) is same
    # The pairing is in no fingerprint, so the hook may move without a cell being run again.
    config = resolve_config(first[0])
    assert 'PairedStart' in config_text(config) and 'PairedStart' not in str(config)


def test_a_matrix_builds_on_another(tmp_path):
    write_matrix(tmp_path)
    (tmp_path / 'more.yaml').write_text(
        '_base_: ./small.yaml\nattention: {_delete_: true, none: , sge: {groups: 16}}\nseeds: [4]\n'
    )
    plain, sge = Matrix.read(tmp_path / 'more.yaml').cells()
    assert sge.arguments == dict(groups=16)
    assert plain.key.name == 'faster-rcnn_r50_context-shapes_short_seed4'


def test_no_string_of_a_cell_is_a_template_of_mmengine():
    for text in ('{{ fileDirname }}', "'{{$HOME:x}}"):
        with pytest.raises(UserError, match='MMEngine would fill in what {{ begins'):
            config_text(Config(dict(model=dict(type='A', name=[text]))))
    assert 'braces' in config_text(Config(dict(model=dict(braces=dict(a={'b c': {'d': 1}})))))
