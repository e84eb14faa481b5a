"""What is wrong with a matrix is said in one line, before anything runs."""

import pytest
from matrix_case import CONFIGS, write_matrix

from ge_det.errors import UserError
from lab.evidence.matrix.config import read_base
from lab.evidence.matrix.matrix import Matrix
from lab.evidence.run.checks import check_runs, new_options
from lab.evidence.run.workspace import Workspace


def drawn(**changes):
    return {'a': dict(draw={}, train=8, val=4, **changes)}


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        (dict(attention=['none', 'cbam']), r"attention cbam: Input should be 'none', 'se'"),
        (dict(attention=[]), 'attention: .* at least 1 item'),
        (dict(seed=[0]), r"unknown \['seed'\]"),
        (dict(detectors={'a': 'no_{data}.py'}), 'no_context-shapes.py: no such config file'),
        (dict(detectors={'a': '{where}.py'}), 'may hold'),
        (dict(starts={'own': dict(classifier='wide')}), "no classifier 'wide'"),
        (dict(starts={'own': dict(blocks=['none', 'sge'])}), r"blocks \['sge'\] are not among"),
        (dict(data={'a': dict(draw=dict(cue_mark=1), train=8, val=4)}), 'data a: .*cue_mark'),
        (dict(data={'a': dict(drawn={})}), r"data a: unknown \['drawn'\]"),
        (dict(attention=['se', 'sge']), 'attention: add none'),
        (dict(processes=0), 'processes'),
        (dict(seeds='0'), 'seeds'),
        (dict(seeds=[0.5]), 'seeds'),
        (dict(seeds=[0, 0]), 'has one twice'),
        (dict(schedules={'short': 6}), 'schedules short: .* valid dictionary, not 6'),
        (dict(detectors={'a': ['b.py']}), r"detectors a: .* valid string, not \['b.py'\]"),
        (dict(detectors={'a': '{data.name}.py'}), 'may hold'),
        (dict(data={'a': dict(train='eight')}), "data a train: .* valid integer, not 'eight'"),
        (
            dict(data={'a': dict(draw={}, train=8)}),
            'data a: train and val must be whole numbers from 1',
        ),
        (dict(data={'a': dict(controls={'b': {}})}), 'controls: only sets that are drawn'),
        (dict(data={'a': dict(controls=['b'])}), 'data a controls: .* valid dictionary'),
        (dict(data=drawn(controls={'b/c': {}})), "'b/c' becomes a folder"),
        (dict(data=drawn(controls={'b': dict(cue_mark=1)})), 'data a: .*cue_mark'),
        (dict(data=drawn(groups=['buoy'])), 'data a groups: .* valid dictionary'),
        (dict(data=drawn(groups={'b': 'buoy'})), 'data a groups b: .* valid list'),
        (dict(data=drawn(groups={'b': ['bouy']})), r"groups: b has \['bouy'\], but the classes"),
        (dict(data={'a': dict(draw=5, train=8, val=4)}), 'data a draw: .* valid dictionary'),
        (dict(data=drawn(about=5)), 'data a about: .* valid string, not 5'),
        (dict(schedules={'a/b': {}}), "schedules a/b: 'a/b' becomes a folder"),
        (dict(starts={'own': dict(attention='se')}), 'starts own: name the classifier'),
        (
            dict(starts={'own': dict(preserve_function='no')}),
            'starts own preserve_function: .* valid boolean',
        ),
        (
            dict(starts={'own': dict(attention='cbam')}),
            "starts own attention .*: Input should be 'none'.* not 'cbam'",
        ),
        (dict(attention={'none': {'ratio': 4}}), 'none has no arguments'),
        (dict(depths=[49]), 'depths'),
        (dict(resamples=-1), 'resamples'),
        (dict(seeds=[2**32]), 'seeds 0: .* less than 4294967296'),
        (dict(name='..'), "name: '..' becomes a folder"),
        (dict(data=drawn(groups={'all': ['buoy']})), r"groups: \['all'\]"),
        (dict(data=drawn(groups={'class:a': ['buoy']})), r"groups: \['class:a'\]"),
        (dict(data={'a': dict(draw=None)}), r"data a: \['draw'\] has nothing"),
        (dict(data={'context-shapes': dict(scenes=True)}), 'scenes are for classifiers'),
        (dict(data={'a': {}}, classifier_data='a'), 'add a set for the detectors'),
    ],
)
def test_a_file_that_cannot_work_is_refused(tmp_path, changes, said):
    file = write_matrix(tmp_path, **changes)
    with pytest.raises(UserError, match=said):
        Matrix.read(file)


def test_cells_that_cannot_work_or_repeat_each_other_are_refused(tmp_path):
    def check(**changes):
        check_runs(Workspace(Matrix.read(write_matrix(tmp_path, **changes)), tmp_path / 'runs'))

    check(attention=dict(none={}, se=dict(ratio=8)))
    with pytest.raises(UserError, match='small.yaml: attention se: .*ratioo'):
        check(attention=dict(none={}, se=dict(ratioo=3)))
    for name, value, said in (
        ('param_scheduler.9.T_max', 2, 'schedules bad: it does not fit'),
        ('model.backbone', 2, 'schedules bad: it does not fit'),
        ('optim_wrapper.optimizer.lr', '1e-3', 'YAML reads 1.0e-3'),
        ('train_cfg.max_epochs', 0, 'must be a whole number from 1'),
        ('train_dataloader.batch_size', 0, 'must be a whole number from 1'),
        ('train_cfg', 5, 'train_cfg.max_epochs: None must be a whole number from 1'),
        ('test_dataloader', None, 'schedules bad: it does not fit'),
        ('train_dataloader.dataset.ann_file', 5, 'schedules bad: it does not fit'),
        ('randomness', 7, 'schedules bad: it does not fit'),
    ):
        with pytest.raises(UserError, match=said):
            check(schedules=dict(bad={name: value}))
    photos = dict(detectors={'a': str(CONFIGS / 'faster-rcnn_r50-narrow_bccd.py')})
    with pytest.raises(UserError, match='a_r50_one.* and a_r50_two.* would be the same run'):
        check(data=dict(one={}, two={}), **photos)


def test_what_a_schedule_adds_may_be_misspelt(tmp_path):
    added = {'train_cfg.max_epoch': 2, 'model.backbone.with_cp': True, 'train_cfg.max_epochs': 3}
    matrix = Matrix.read(write_matrix(tmp_path, schedules=dict(a=added)))
    first, second = new_options(Workspace(matrix, tmp_path / 'runs'))
    assert first.startswith('note: schedules a: train_cfg.max_epoch is not in faster-rcnn_r50')
    assert first.endswith('it is added; did you mean max_epochs?') and 'with_cp is not' in second


def test_no_file_and_no_yaml(tmp_path):
    with pytest.raises(UserError, match='check the path'):
        Matrix.read(tmp_path / 'none.yaml')
    for text, why in (
        ('', 'it is empty'),
        ('# a', 'it is empty'),
        ('- a', 'it is a list'),
        ('5', 'it is a int'),
    ):
        (tmp_path / 'a.yaml').write_text(text)
        with pytest.raises(UserError, match=f'a.yaml: it cannot be read .*{why}.*README.md'):
            Matrix.read(tmp_path / 'a.yaml')
    (tmp_path / 'a.yaml').write_text('a: [')
    with pytest.raises(UserError, match='a.yaml: it cannot be read as a mapping in YAML'):
        Matrix.read(tmp_path / 'a.yaml')
    (tmp_path / 'a.py').write_text('')
    with pytest.raises(UserError, match='a matrix is a YAML file'):
        Matrix.read(tmp_path / 'a.py')


def test_a_config_of_another_backbone_is_refused(tmp_path):
    (tmp_path / 'a.py').write_text(
        "model = dict(backbone=dict(type='ResNet', depth=50))\ntrain_cfg = dict(max_epochs=1)\n"
    )
    with pytest.raises(UserError, match='its backbone is ResNet'):
        read_base(tmp_path / 'a.py')
    (tmp_path / 'a.py').write_text('model = dict(\n')
    with pytest.raises(UserError, match='must be a config with a model'):
        read_base(tmp_path / 'a.py')
