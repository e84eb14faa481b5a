"""The tries themselves: each way to end is told from the others."""

import os
import pickle
import signal
import sys
import time

import pytest
import torch

from lab.reliability.hostile import KINDS
from lab.reliability.hostile.code import CODE
from lab.reliability.states import difference
from lab.reliability.tables.files import _fault
from lab.reliability.trial import attempt, processes_in


def one_line():
    print('nothing of the kind; give another', file=sys.stderr)
    return 2


@pytest.mark.parametrize(
    'action, outcome',
    [
        (lambda: None, 'accepted'),
        (one_line, 'one line'),
        (lambda: sys.exit('no'), 'one line'),
        (lambda: 2, 'exit code 2, nothing said'),
        (lambda: one_line() + 1, 'exit code 3, nothing of the kind; give another'),
        (lambda: 1 / 0, 'traceback: ZeroDivisionError: division by zero'),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), 'crash (SIGKILL)'),
        (lambda: time.sleep(60), 'over 1 s'),
    ],
)
def test_every_end_is_told(tmp_path, action, outcome):
    seconds = 1 if outcome == 'over 1 s' else 60  # A fork alone may take one on a busy machine.
    assert attempt(action, tmp_path, seconds).outcome == outcome
    assert processes_in(tmp_path) == []


def test_code_out_of_a_file_is_seen(tmp_path):
    file, canary = tmp_path / 'weights.pth', tmp_path / 'canary'
    CODE['os.mkdir, bare pickle'](file, file, canary)
    trial = attempt(lambda: pickle.loads(file.read_bytes()), tmp_path / 'at')
    assert _fault('code in a pickle', 'test', trial.outcome, '', canary, file) == 'ran code'


def test_every_maker_writes_its_file(tmp_path):
    good, canary = tmp_path / 'good.pth', tmp_path / 'canary'
    state = {f'backbone.{name}': torch.ones(64) for name in ('conv1.weight', 'bn1.running_var')}
    for name in ('conv1.weight', 'bn1.running_var'):
        state[f'backbone.layer2.0.{name}'] = torch.ones(2000)
    torch.save(dict(state_dict=state, meta={}, optimizer={}), good)
    written = set()
    for kind, makers in KINDS.items():
        for number, (name, make) in enumerate(makers.items()):
            if name == 'compressed members':  # Takes seconds.
                continue
            file = tmp_path / f'{kind}{number}'
            make(file, good, canary)
            assert os.path.lexists(file) or name == 'no file', name
            if file.is_file() and not file.is_symlink() and kind != 'sound':
                assert file.read_bytes() != good.read_bytes(), name
                written.add(file.read_bytes())
    assert len(written) > 60 and not canary.exists()


def test_one_bit_of_difference_is_seen(tmp_path):
    content = dict(
        state_dict={'a': torch.ones(3)},
        optimizer={'state': [1, torch.zeros(2)]},
        param_schedulers=[],
    )
    torch.save(content, tmp_path / 'a.pth')
    torch.save(content, tmp_path / 'b.pth')
    assert difference(tmp_path / 'a.pth', tmp_path / 'b.pth') is None
    content['optimizer']['state'][1][0] = torch.finfo(torch.float32).tiny
    torch.save(content, tmp_path / 'b.pth')
    assert 'optimizer of b.pth' in str(difference(tmp_path / 'a.pth', tmp_path / 'b.pth'))
    assert 'not there' in str(difference(tmp_path / 'a.pth', tmp_path / 'c.pth'))
