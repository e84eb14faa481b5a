"""``ge-det`` finds its commands, answers --help at once, and turns errors into one line."""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from command_line import exit_code

from ge_det import __version__
from ge_det.cli.errors import doctor_command, run_command
from ge_det.cli.main import COMMANDS, main
from ge_det.cli.signals import run_until_signal
from ge_det.errors import UserError

ROOT = Path(__file__).parents[2]
SLOW = {'torch', 'mmengine', 'mmcv', 'mmdet', 'mmpretrain'}
THEIRS = {'train': 'mmdet', 'test': 'mmdet', 'train-classifier': 'mmpretrain'}
TOOLS = {
    'train': 'train.py',
    'test': 'test.py',
    'report': 'report.py',
    'compare': 'compare.py',
    'infer': 'infer.py',
    'make-config': 'make_config.py',
    'import-weights': 'import_weights.py',
    'publish': 'publish_model.py',
    'train-classifier': 'train_classifier.py',
    'make-context-shapes': 'make_context_shapes.py',
}


def test_no_file_that_runs_as_a_script_hides_a_module_of_python() -> None:
    for folder in ('ge_det/cli', 'tools'):
        names = {file.stem for file in (ROOT / folder).glob('*.py')}
        assert names and not names & sys.stdlib_module_names


def python(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, words)]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def need_script(command: str) -> None:
    """Skip where the script of others that a command runs is not installed."""
    if importlib.util.find_spec(THEIRS.get(command, 'ge_det')) is None:
        pytest.skip(f'{THEIRS[command]} is not installed')


def imported(code: str) -> set[str]:
    """The slow packages that a process has imported after some code."""
    done = python('-c', f'import sys\n{code}\nprint(*sys.modules, file=sys.stderr)')
    assert done.returncode == 0, done.stderr
    return {name.split('.')[0] for name in done.stderr.split()} & SLOW


def test_importing_the_package_is_light() -> None:
    assert imported('import ge_det') == set()


def test_what_is_slow_is_seen() -> None:
    pytest.importorskip('torch')
    assert imported('import torch') == {'torch'}


@pytest.mark.parametrize('command', COMMANDS)
def test_help_imports_nothing_slow(command: str) -> None:
    need_script(command)
    code = f'from ge_det.cli.main import main\ntry: main(["{command}", "-h"])\nexcept SystemExit: 0'
    assert imported(code) == set()


@pytest.mark.parametrize('command', COMMANDS)
def test_help_answers_at_once(command: str) -> None:
    """In processor time, which other work on the machine does not lengthen."""

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    need_script(command)
    before = spent()
    done = python('-m', 'ge_det', command, '--help')
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.startswith(f'usage: ge-det {command} ')
    assert spent() - before < 0.7


@pytest.mark.parametrize(('command', 'tool'), TOOLS.items())
def test_the_tools_are_the_commands(command: str, tool: str) -> None:
    need_script(command)
    theirs, ours = python('tools/' + tool, '-h'), python('-m', 'ge_det', command, '-h')
    assert theirs.returncode == 0, theirs.stderr
    assert theirs.stdout.startswith(f'usage: {tool} ')

    def flags(text: str) -> set[str]:
        return set(re.findall(r'--?[a-z][\w-]*', text.replace(f'ge-det {command}', '')))

    assert flags(theirs.stdout) == flags(ours.stdout)


def test_all_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == main(['--help']) == 0
    shown = capsys.readouterr().out
    assert all(f'\n  {command} ' in shown for command in COMMANDS)
    assert main(['--version']) == 0
    assert capsys.readouterr().out == f'{__version__}\n'


def test_a_home_that_the_shell_has_left(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    words = ['make-config', '~/photos', '--out=~/my.py']
    assert main(words) == 2 and f'{tmp_path}/photos: no such' in capsys.readouterr().err
    (tmp_path / 'my.py').touch()
    assert main(words) == 2 and f'{tmp_path}/my.py' in capsys.readouterr().err


def test_a_slip_of_the_pen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['make_config', '--help']) == 2
    assert capsys.readouterr().err == (
        "ge-det: there is no command 'make_config'; did you mean make-config?\n"
    )
    assert main(['xyz']) == 2
    assert '`ge-det --help` lists them' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('error', 'code', 'line'),
    [
        (UserError('a.py: gone;\n  check it'), 2, 'try: a.py: gone; check it\n'),
        (FileNotFoundError(2, 'No such file', 'a'), 2, "try: [Errno 2] No such file: 'a'\n"),
        (
            IsADirectoryError(errno.EISDIR, 'Is a directory', 'a'),
            2,
            f"try: [Errno {errno.EISDIR}] Is a directory: 'a': this is a folder; name a file\n",
        ),
        (
            ModuleNotFoundError("No module named 'mmdet'", name='mmdet'),
            2,
            f"try: No module named 'mmdet'; `{doctor_command()}` tells what is missing\n",
        ),
        (
            OSError('libtorch_cuda.so: cannot open shared object file'),
            2,
            'try: libtorch_cuda.so: cannot open shared object file: '
            f'`{doctor_command()}` tells what is broken\n',
        ),
        (KeyboardInterrupt(), 130, '\ntry: interrupted; go on\n'),
    ],
)
def test_endings(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str
) -> None:
    def action() -> None:
        raise error

    assert run_command('try', action, 'go on') == code
    assert capsys.readouterr().err == line


def test_what_others_make_of_an_interruption(capsys: pytest.CaptureFixture[str]) -> None:
    """As yapf does, which formats MMEngine's configs."""

    def action() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        except BaseException:
            raise SyntaxError('cannot be formatted')  # noqa: B904

    assert run_command('try', action, 'go on') == 143
    assert capsys.readouterr().err == '\ntry: ended by a signal; go on\n'


@pytest.mark.parametrize(('number', 'times'), [(signal.SIGINT, 3), (signal.SIGTERM, 2)])
def test_every_command_ends_in_a_line(tmp_path: Path, number: int, times: int) -> None:
    command = [sys.executable, '-m', 'ge_det', 'make-context-shapes', '--train', '9999']
    process = subprocess.Popen(
        [*command, '--out', tmp_path / 'set'],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(tmp_path.glob('set/train/*.png')):
        assert process.poll() is None
        time.sleep(0.02)
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.01)
    told = process.communicate(timeout=60)[1].splitlines()
    assert process.returncode == 128 + number
    assert (
        told[-1].startswith('make-context-shapes: ') and 'run it again and it goes on' in told[-1]
    )
    assert not any('Traceback' in line for line in told)


LOST = """
import os, sys, time
from ge_det.cli.signals import run_until_signal
class Late:
    def __del__(self):
        os.kill(os.getpid(), {number})
        time.sleep(0)
def action():
    Late()
    time.sleep(20)
sys.exit(run_until_signal('x', action, 'run it again'))
"""


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_where_python_ignores_errors_is_not_lost(number: int) -> None:
    done = subprocess.run(
        [sys.executable, '-c', LOST.format(number=int(number))],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        timeout=15,
    )
    assert done.returncode == 128 + number
    assert done.stderr.splitlines()[-1].startswith('x: ')


STRIKE = """
import os, runpy, sys
module, number = sys.argv.pop(1), int(sys.argv.pop(1))
class Strike:
    def find_spec(name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), number)
sys.meta_path.insert(0, Strike)
runpy.run_module('ge_det', run_name='__main__', alter_sys=True)
"""


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ('command', 'module'),
    [
        *((command, module) for command, (module, _) in COMMANDS.items()),
        ('train', 'argparse'),
        ('train', 'ge_det.cli.screen'),
        ('blocks', 'ge_det.catalogue'),
    ],
)
def test_a_command_that_is_told_to_end_as_it_begins(
    command: str, module: str, number: signal.Signals
) -> None:
    """In the first tenths of a second, in which it imports its own module."""
    done = python('-c', STRIKE, module, number.value, command)
    assert done.returncode == 128 + number, done.stderr
    assert re.fullmatch(rf'\n{command}: (interrupted|ended by a signal); .*\n', done.stderr)


def test_little_is_imported_before_a_command_may_be_told_to_end() -> None:
    code = 'import sys, ge_det.cli.main; print(*sys.modules)'
    slow = {'argparse', 'ast', 'difflib', 'multiprocessing', 'pathlib', 'tempfile', 'threading'}
    assert slow & set(python('-S', '-c', code).stdout.split()) == set()


@pytest.mark.parametrize('error', [ValueError, ModuleNotFoundError, ZeroDivisionError])
def test_errors_of_ours_keep_their_traceback(error: type[Exception]) -> None:
    def action() -> None:
        raise error

    with pytest.raises(error):
        run_command('try', action)


def test_codes_of_actions() -> None:
    assert run_command('try', lambda: None) == 0
    assert run_command('try', lambda: 3) == 3


def test_a_reader_that_has_seen_enough() -> None:
    pytest.importorskip('torch')
    command = f'{sys.executable} -m ge_det blocks | head -n 1'
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(['bash', '-c', command], capture_output=True, text=True, env=environment)
    assert done.stdout.startswith('short name')
    assert done.stderr == ''


def test_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('mmdet')
    from ge_det import AttentionResNet
    from ge_det.catalogue import NAMES, attention_config

    assert exit_code('blocks') == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(NAMES[1:])
    added = {line.split()[0]: int(line.split()[1].replace(',', '')) for line in lines}
    for name in ('ge-theta', 'sge', 'rg-se'):
        network = AttentionResNet(50, attention=attention_config(name))
        gates = network.gates().values()
        assert added[name] == sum(p.numel() for gate in gates for p in gate.parameters())


def test_a_worker_that_the_same_signal_ends_is_no_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with torch, whose handler raises while the command is ending."""
    unraised: list[object] = []
    monkeypatch.setattr(sys, 'unraisablehook', lambda args: unraised.append(args.exc_value))

    def fail(number: int, frame: object) -> None:
        raise RuntimeError('a worker is killed')

    def action() -> None:
        signal.signal(signal.SIGCHLD, fail)
        both = {signal.SIGTERM, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, both)
        for number in both:  # Not os.kill: another thread, which blocks neither, would take it.
            signal.pthread_kill(threading.get_ident(), number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, both)

    before = signal.getsignal(signal.SIGCHLD)
    try:
        assert run_until_signal('try', action, 'go on') == 143
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert (capsys.readouterr().err, unraised) == ('\ntry: ended by a signal; go on\n', [])
