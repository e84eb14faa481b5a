"""The scripts for several GPUs hand every argument on as it is, spaces included."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'
LAUNCHERS = ('dist_train.sh', 'dist_test.sh', 'slurm_train.sh')


def _launch(tmp_path: Path, script: str, *arguments: str, **environment: str) -> list[str]:
    """Arguments that a launcher hands to the stand-ins for srun and python."""
    for program in ('srun', 'python'):
        path = tmp_path / program
        path.write_text('#!/bin/sh\nprintf "%s\\n" "$(basename "$0")" "$@"\n')
        path.chmod(0o755)
    environment = {'PATH': f'{tmp_path}:{os.environ["PATH"]}', **environment}
    command = ['bash', str(TOOLS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize('script', LAUNCHERS)
def test_launchers_tell_their_usage(script: str) -> None:
    assert os.access(TOOLS / script, os.X_OK)
    done = subprocess.run([str(TOOLS / script), 'one'], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith('usage: ') and done.stderr.count('\n') == 1


def test_dist_train(tmp_path: Path) -> None:
    called = _launch(tmp_path, 'dist_train.sh', 'my config.py', '2', '--work-dir', 'a b', PORT='1')
    assert called[:3] == ['python', '-m', 'torch.distributed.run']
    assert called[called.index('--master_port') + 1] == '1'
    assert called[called.index('--nproc_per_node') + 1] == '2'
    assert called[-6:] == [
        str(TOOLS / 'train.py'),
        'my config.py',
        '--launcher',
        'pytorch',
        '--work-dir',
        'a b',
    ]


def test_dist_test(tmp_path: Path) -> None:
    called = _launch(tmp_path, 'dist_test.sh', 'c.py', 'a.pth', '4', '--out', 'x.pkl')
    assert called[called.index('--nproc_per_node') + 1] == '4'
    last = [str(TOOLS / 'test.py'), 'c.py', 'a.pth', '--launcher', 'pytorch', '--out', 'x.pkl']
    assert called[-7:] == last


def test_slurm_train(tmp_path: Path) -> None:
    arguments = ('gpu', 'my job', 'my config.py', '--amp')
    called = _launch(tmp_path, 'slurm_train.sh', *arguments, GPUS='4', SRUN_ARGS='--a=1 --b')
    assert called[0] == 'srun'
    for expected in ('--partition=gpu', '--job-name=my job', '--gres=gpu:4', '--ntasks=4'):
        assert expected in called
    assert called[-9:] == [
        '--a=1',
        '--b',
        'python',
        '-u',
        str(TOOLS / 'train.py'),
        'my config.py',
        '--launcher',
        'slurm',
        '--amp',
    ]
    assert '--gres=gpu:8' in _launch(tmp_path, 'slurm_train.sh', *arguments, GPUS='16')
