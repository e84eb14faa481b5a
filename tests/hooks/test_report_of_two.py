"""A training of two processes, really run: one of them writes the report, and both end well."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('mmdet')

from html_page import Page
from tiny_detector import tiny_detector

TRAINING = """
import gc
import sys
import torch
from mmengine.config import Config
from mmengine.runner import Runner

config, store, rank = sys.argv[1:]
torch.set_num_threads(1)
torch.distributed.init_process_group(
    'gloo', init_method=f'file://{store}', rank=int(rank), world_size=2
)
Runner.from_cfg(Config.fromfile(config)).train()
gc.collect()  # See process_group.py.
torch.distributed.destroy_process_group()
"""
STARTED = """
sys.addaudithook(
    lambda event, args: event == 'subprocess.Popen' and print('started', *args[1], flush=True)
)
"""


def test_one_of_two_processes_writes_the_report(tmp_path: Path) -> None:
    config = tiny_detector(tmp_path / 'data', 1)
    config.default_hooks.report = dict(type='ge_det.WriteReport')
    config.update(work_dir=str(tmp_path / 'run'), launcher='pytorch')
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    # MMEngine's own choice of a device is a GPU.
    config.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
    config.dump(tmp_path / 'my.py')
    (tmp_path / 'training.py').write_text(TRAINING.replace('\nconfig, ', f'{STARTED}\nconfig, '))
    words = [sys.executable, 'training.py', 'my.py', str(tmp_path / 'store')]
    alike = dict(WORLD_SIZE='2', LOCAL_WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT='1')
    processes = [
        subprocess.Popen(
            [*words, rank],
            cwd=tmp_path,
            env={**os.environ, **alike, 'RANK': rank, 'LOCAL_RANK': rank, 'OMP_NUM_THREADS': '1'},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in ('0', '1')
    ]
    try:
        said = [process.communicate(timeout=600)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], '\n'.join(said)[-5000:]
    reports = [[line for line in one.splitlines() if line.endswith(' report ' + config.work_dir)]
               for one in said]  # fmt: skip
    assert [len(one) for one in reports] == [1, 0]
    assert 'no report of the training' not in ''.join(said)
    assert 'FasterRCNN' in Page(tmp_path / 'run/report/index.html').text
