"""The demo's own parts; that it runs as a whole is its own `make demo`."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from ge_det.datasets import CLASSES
from lab.evidence import demo, side_by_side
from lab.evidence.experiment import Experiment, ExperimentError

CONFIGS = Path(__file__).parents[2] / 'configs' / 'demo'
PLAIN = CONFIGS / 'faster-rcnn_r50-narrow_fpn_context-shapes.py'
GATED = CONFIGS / 'faster-rcnn_r50-narrow-ge-theta-e8_fpn_context-shapes.py'


def test_the_two_configs_differ_in_the_attention_alone():
    plain, gated = (Config.fromfile(path).to_dict() for path in (PLAIN, GATED))
    attention = gated['model']['backbone'].pop('attention')
    assert attention == dict(type='ge_det.GatherExcite', variant='theta', extent=8)
    assert plain == gated


def test_classes_and_data_agree_with_the_generator():
    config = Config.fromfile(PLAIN)
    assert config.metainfo.classes == CLASSES
    assert config.model.roi_head.bbox_head.num_classes == len(CLASSES)
    assert set(demo.GROUPS['context']) | set(demo.GROUPS['other']) == set(CLASSES)


def test_work_dir_of_another_config_is_refused(tmp_path):
    Experiment('a', PLAIN, tmp_path).claim_work_dir()
    Experiment('a', PLAIN, tmp_path).claim_work_dir()
    with pytest.raises(ExperimentError, match='move or delete that folder'):
        Experiment('a', GATED, tmp_path).claim_work_dir()


def test_progress_and_completion(tmp_path):
    experiment = Experiment('a', PLAIN, tmp_path)
    config = Config.fromfile(PLAIN)
    total = experiment.total_iterations(13)
    assert total == 2 * config.train_cfg.max_epochs
    assert experiment.iterations_done() == 0
    assert not experiment.is_trained()
    final = tmp_path / f'epoch_{config.train_cfg.max_epochs}.pth'
    final.touch()
    assert not experiment.is_trained()  # MMEngine may still be writing it
    (tmp_path / 'last_checkpoint').write_text(str(final))
    assert experiment.is_trained()


def test_an_interrupted_test_is_no_result(tmp_path):
    experiment = Experiment('a', PLAIN, tmp_path)
    (tmp_path / 'test-unfinished.bbox.json').write_text('[]')
    assert not experiment.is_tested()
    experiment.keep_detections()
    assert experiment.is_tested()


def test_other_data_are_another_run(tmp_path):
    data = tmp_path / 'train.json'
    data.write_text('{}')
    experiment = Experiment('a', PLAIN, tmp_path / 'run', (data,))
    experiment.claim_work_dir()
    data.write_text('[]')
    with pytest.raises(ExperimentError, match='other data'):
        experiment.claim_work_dir()


def test_json_has_null_where_there_is_no_value():
    text = demo.to_json({'plain': {'all': {'AP': 0.5, 'APl': float('nan')}}})
    assert json.loads(text) == {'plain': {'all': {'AP': 0.5, 'APl': None}}}


def test_time_left_counts_this_session_only(tmp_path, capsys):
    experiment = Experiment('a', PLAIN, tmp_path)
    side_by_side._tell('training', {experiment: 0.5}, {experiment: 0.75}, 60)
    assert capsys.readouterr().err == 'training: 1:00 min gone, a 75%, about 1:00 min left\n'


def test_a_failed_step_names_its_last_line(tmp_path):
    broken = tmp_path / 'broken.py'
    broken.write_text("raise ValueError('this config is broken')\n")
    experiment = Experiment('a', broken, tmp_path / 'run')
    experiment.work_dir.mkdir()
    with pytest.raises(ExperimentError, match='a: ValueError: this config is broken .*console.log'):
        side_by_side.run_side_by_side(
            'training', [experiment], lambda e: e.start_training(threads=1)
        )


def test_table_holds_every_metric():
    metrics = {'AP': 0.5, 'AP50': 0.75, 'APs': float('nan'), 'APm': 0.1, 'APl': 1.0}
    results = {'plain': dict.fromkeys(demo.GROUPS, metrics)}
    head, row = demo.format_table(results).splitlines()
    assert head.split()[:5] == ['AP', 'AP50', 'APs', 'APm', 'APl']
    assert row.split()[:6] == ['plain', '50.0', '75.0', 'nan', '10.0', '100.0']


def test_minutes():
    assert side_by_side._minutes(125.9) == '2:05'


def test_a_training_resumes_only_what_has_begun(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(Experiment, '_start', lambda self, command, _: started.append(command))
    experiment = Experiment('a', PLAIN, tmp_path)
    experiment.start_training(1)  # --resume would make mmdet forget a load_from
    torch.save({}, tmp_path / 'epoch_1.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    experiment.start_training(1)
    assert ['--resume' in arguments for arguments in started] == [False, True]
