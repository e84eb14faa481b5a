"""A report that fails does not make a training fail; `tests/report` has one that is written."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip('mmengine')

from ge_det.hooks import WriteReport
from ge_det.hooks.write_report import _alone


def runner_in(folder: Path) -> Any:
    val_loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=range(3)))
    logger = logging.getLogger('training')
    return SimpleNamespace(work_dir=str(folder / 'none'), logger=logger, val_loop=val_loop)


def test_a_report_that_fails_is_a_warning(tmp_path: Path, caplog, capfd) -> None:
    hook, runner = WriteReport(), runner_in(tmp_path)
    hook.after_train(runner)
    hook.after_run(runner)
    assert f'no report of the training (exit code 2); `ge-det report {tmp_path}' in caplog.text
    told = capfd.readouterr().err
    assert told.startswith('report: ') and told.count('\n') == 1


def test_only_a_training_has_one(tmp_path: Path, caplog, capfd) -> None:
    WriteReport().after_run(runner_in(tmp_path))  # Of a test.
    assert caplog.text == capfd.readouterr().err == ''


def test_without_a_val_set_there_is_nothing_to_try_again(tmp_path: Path, caplog, capfd) -> None:
    caplog.set_level('INFO')
    hook, runner = WriteReport(), runner_in(tmp_path)
    runner.val_loop = None
    hook.after_train(runner)
    hook.after_run(runner)
    assert caplog.messages == ['report:  none, for the config has no val set to measure on']
    assert capfd.readouterr().err == ''


def test_the_process_of_a_report_is_alone() -> None:
    launched = {'RANK': '0', 'WORLD_SIZE': '2', 'LOCAL_RANK': '0', 'SLURM_PROCID': '0',
                'OMPI_COMM_WORLD_RANK': '0', 'TORCHELASTIC_RUN_ID': 'a'}  # fmt: skip
    assert _alone({**launched, 'PATH': '/bin'}) == {'PATH': '/bin'}
