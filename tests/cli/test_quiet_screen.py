"""As long as a command runs, its screen shows what is ours; all else is in the log."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip('mmdet')

from mmengine.logging import MMLogger

from ge_det.cli.screen import quiet_screen, show
from ge_det.errors import UserError


def test_what_comes_before_the_log_file_is_in_it(tmp_path: Path, capsys) -> None:
    with quiet_screen():
        warnings.warn('of the stack', stacklevel=1)
        print('chatter', '猫')
        logger = MMLogger('a', log_file=str(tmp_path / 'a.log'))
        MMLogger._instance_dict['a'] = logger
        logger.info('noise')
        logger.warning('old')
        logger.error('trouble')
        show('ours')
    logger.handlers[1].flush()
    shown = capsys.readouterr()
    log = (tmp_path / 'a.log').read_text(encoding='utf-8')
    assert all(word in log for word in ('of the stack', 'chatter 猫', 'noise', 'old', 'trouble'))
    assert shown.out == f'log:     {tmp_path}/a.log\nnoise\nwarning: old\nerror: trouble\nours\n'
    assert shown.err == ''
    print('loud')
    assert capsys.readouterr().out == 'loud\n'


@pytest.mark.parametrize('stays', [True, False])
def test_only_a_log_that_stays_is_named(tmp_path: Path, stays: bool, capsys) -> None:
    """That of a file's AP in `export` goes with its folder."""
    with pytest.raises(UserError) as caught, quiet_screen('my.py', log_stays=stays):
        MMLogger._instance_dict['b'] = MMLogger('b', log_file=str(tmp_path / 'b.log'))
        MMLogger._instance_dict['b'].error('trouble')
        1 / 0  # noqa: B018
    said = str(caught.value) + capsys.readouterr().out
    assert ('b.log' in said) == stays and ('GE_DET_VERBOSE=1 tells more' in said) != stays


def test_a_fault_of_ours_keeps_what_came_before_it(capsys) -> None:
    with pytest.raises(ZeroDivisionError), quiet_screen():
        print('the cause')
        1 / 0  # noqa: B018
    assert 'the cause' in capsys.readouterr().err
    with (
        pytest.raises(UserError, match=r'my.py: ZeroDivisionError: division'),
        quiet_screen('my.py'),
    ):
        1 / 0  # noqa: B018


def test_a_fault_of_others_below_a_folder_of_our_name_is_theirs() -> None:
    code = compile('1 / 0', '/home/me/ge_det/.venv/lib/mmdet/a.py', 'exec')
    with pytest.raises(UserError, match=r'my.py: ZeroDivisionError'), quiet_screen('my.py'):
        exec(code)


def test_a_users_module_finds_what_a_stream_has(capfdbinary) -> None:
    with quiet_screen():
        assert sys.stdout.writable() and not sys.stdout.closed
        sys.stdout.buffer.write(b'bytes')
        sys.stdout.buffer.flush()
    assert capfdbinary.readouterr().out == b'bytes'


def test_verbose_shows_all(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv('GE_DET_VERBOSE', '1')
    with quiet_screen():
        print('chatter')
    assert capsys.readouterr().out == 'chatter\n'
