"""The parts of the transfer experiment; the whole of it is `python tools/transfer.py`."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ge_det.cli.preflight import build_without_memory, check_fits
from lab.evidence import transfer
from lab.evidence.experiment import Experiment, ExperimentError
from lab.evidence.side_by_side import run_side_by_side

PLAIN = Path(__file__).parents[2] / 'configs/demo/faster-rcnn_r50-narrow_fpn_context-shapes.py'


@pytest.mark.parametrize(('block', 'way'), [('none', 'kept'), ('sge', 'kept'), ('se', 'changed')])
def test_an_import_is_a_checkpoint_of_its_config(block, way, tmp_path):
    config = Config.fromfile(PLAIN)
    with DefaultScope.overwrite_default_scope('mmdet'):
        detector = MODELS.build(config.model)
    plain = Experiment('plain', PLAIN, tmp_path / 'plain')
    plain.work_dir.mkdir()
    torch.save(dict(state_dict=detector.state_dict()), plain.final_checkpoint())
    run = transfer.TransferRun(PLAIN, tmp_path, tmp_path / 'transfer', seeds=(0,))
    experiment = transfer._import(run, plain, block, way)
    check_fits(build_without_memory(str(experiment.config)), str(experiment.checkpoint))
    assert not experiment.is_tested()
    tuning = transfer._tuning(run, block, 0, ())
    assert Config.fromfile(tuning.config).load_from.endswith(f'{block}/kept/start.pth')


def test_table_of_results():
    ap = {'none': {'kept': 0.25, 'fine-tuned': [0.3, 0.4]}}
    ap['se'] = {'kept': 0.25, 'changed': 0.125, 'fine-tuned': [0.35, 0.35]}
    table = transfer.format_table(dict(seeds=[0, 1], epochs=4, ap=ap)).splitlines()
    assert table[2] == '| plain | 25.0 |  |  | 30.0, 40.0 |'
    assert table[3] == '| se | 25.0 |  | 12.5 | 35.0, 35.0 |'


def test_so_many_at_once_and_a_failure_stops_the_rest(tmp_path):
    experiments = [Experiment(str(i), PLAIN, tmp_path / str(i)) for i in range(4)]
    for experiment in experiments:
        experiment.work_dir.mkdir()
        experiment.log.write_text('the last word')
    running, most = [], []

    def start(code):
        def begin(_):
            running[:] = [p for p in running if p.poll() is None]
            process = subprocess.Popen([sys.executable, '-c', code])
            running.append(process)
            most.append(len(running))
            return process

        return begin

    run_side_by_side('sleeping', experiments, start('import time; time.sleep(0.3)'), at_once=2)
    assert len(most) == 4 and max(most) == 2
    begun = time.monotonic()
    with pytest.raises(ExperimentError, match='the last word'):
        run_side_by_side('failing', experiments, start('raise SystemExit(1)'), at_once=1)
    assert time.monotonic() - begun < 60
