"""The set-up script: what it does when something is missing, fails, or is interrupted.

A stub stands for Python. That the real thing works, every `make test` shows by itself.
"""

import os
import shutil
import signal
import sys
import time

import pytest
from setup_machine import STUB, Machine


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_bare_machine_then_nothing_to_do(machine):
    status, said, complaint = machine.run()
    assert (status, complaint) == (0, [])
    assert said[-1] == f'setup: ready (Python 3.11.7 in {machine.folder}/.venv)'
    assert any('compiling its ops, once; it may take' in line for line in said)
    kinds = [' '.join(call.split()[:3]) for call in machine.calls()]
    assert kinds == [
        '-m venv --clear',
        '-m pip install',  # torch
        '-m pip download',
        '-m pip wheel',
        '-m pip install',  # mmcv
        '-m pip install',  # the rest
        '-m pip install',  # torchvision and timm, aside
        '-m ge_det doctor',
    ]

    begun = time.time()
    assert machine.run() == (0, [said[-1]], [])
    assert time.time() - begun < 5
    assert machine.calls() == []


def test_a_change_of_the_requirements_is_noticed(machine):
    machine.run()
    machine.calls()
    with (machine.folder / 'pyproject.toml').open('a') as file:
        file.write('# changed\n')
    assert machine.run()[0] == 0
    calls = machine.calls()
    assert any('.[openmmlab,export,lab,dev,docs]' in call for call in calls)
    assert not any('venv' in call or 'wheel ' in call.split()[2:3] for call in calls)


def test_another_package_in_the_environment_is_noticed(machine):
    machine.run()
    machine.calls()
    info = machine.folder / '.venv/lib/python3.11/site-packages/torchvision-0.28.0.dist-info'
    info.mkdir()
    (info / 'INSTALLER').touch()
    assert machine.run()[0] == 0
    assert machine.calls()


def test_python_that_does_not_suit(machine):
    status, said, complaint = machine.run(PYTHON='/bin/false')
    assert (status, said, len(complaint)) == (1, [], 1)
    assert 'FAILED: Python 3.10 to 3.13 is needed' in complaint[0]
    assert 'make PYTHON=' in complaint[0]


def test_other_python_than_the_environment_has(machine):
    machine.run()
    other = machine.bin / 'other python'
    other.write_text(STUB.replace('echo 3.11 ;;', 'echo 3.12 ;;'))
    other.chmod(0o755)
    status, _, complaint = machine.run(PYTHON=str(other))
    assert status == 1
    assert 'has Python 3.11' in complaint[0]
    assert 'rm -rf' in complaint[0]


def test_no_venv_module(machine):
    machine.fault('import venv', 'exit 1')
    status, _, complaint = machine.run()
    assert (status, len(complaint)) == (1, 1)
    assert 'no venv module' in complaint[0]


def test_no_compiler_is_told_before_the_download(machine):
    (machine.bin / 'c++').unlink()
    status, _, complaint = machine.run()
    assert (status, len(complaint)) == (1, 1)
    assert 'no C++ compiler' in complaint[0]
    assert not any('torch==' in call for call in machine.calls())


def test_no_compiler_is_fine_with_a_cached_wheel(machine):
    (machine.bin / 'c++').unlink()
    (machine.stub / 'cached').write_text('/cache/mmcv-2.1.0-cp311-cp311-any.whl\n')
    assert machine.run()[0] == 0


def test_failing_step_names_the_reason_and_the_log_and_the_next_run_goes_on(machine):
    fault = machine.fault('torch==', 'echo "ERROR: No matching distribution"; exit 1')
    status, _, complaint = machine.run()
    assert (status, len(complaint)) == (1, 1)
    assert 'FAILED: torch' in complaint[0]
    assert 'ERROR: No matching distribution' in complaint[0]
    assert complaint[0].endswith(f'{machine.folder}/work_dirs/setup.log)')
    machine.calls()

    fault.unlink()
    status, said, _ = machine.run()
    assert status == 0
    assert 'ready' in said[-1]
    assert not any('venv' in call.split()[1] for call in machine.calls())


def test_cached_wheel_that_does_not_fit_is_not_used(machine):
    (machine.stub / 'cached').write_text('/cache/mmcv-2.1.0-cp311-cp311-any.whl\n')
    # The ops run only after mmcv has been compiled here.
    fault = machine.fault('-', '[ "$1" != - ] || [ -e "$STUB/built" ] || exit 1')
    status, said, _ = machine.run()
    assert status == 0
    assert 'setup: mmcv: that one does not fit here' in said
    assert any('compiling' in line for line in said)
    # pip would find the wheel of this folder in its cache, also one built for another torch.
    assert any('pip wheel' in call and '--no-cache-dir' in call for call in machine.calls())
    fault.unlink()
    # The wheel built is kept for the next environment on this machine.
    assert list((machine.stub / '.cache/ge_det').rglob('mmcv-2.1.0-*.whl'))


def test_sources_that_do_not_compile_merged_are_compiled_one_by_one(machine):
    machine.fault('-m pip wheel', 'rm "$fault"; echo "error: redefinition"; exit 1')
    status, said, complaint = machine.run()
    assert (status, complaint) == (0, [])
    told = [line for line in said if 'merged it does not compile' in line]
    assert len(told) == 1 and 'redefinition' in told[0]
    calls = (machine.stub / 'calls').read_text().splitlines()
    assert sum('merge_sources.py' in call for call in calls) == 1
    assert sum('-m pip wheel' in call for call in calls) == 2


def test_nothing_is_compiled_where_the_ops_fail_for_torch(machine):
    (machine.stub / 'has-mmcv').touch()
    machine.fault('-', '[ "$1" != - ] || exit 1')
    machine.fault('import torch, mmengine', 'echo "OSError: libc10.so: cannot open"; exit 1')
    status, _, complaint = machine.run()
    assert status == 1
    assert 'OSError: libc10.so' in complaint[0]
    assert not any('pip wheel' in call for call in machine.calls())


def test_half_made_environment_is_made_anew(machine):
    (machine.folder / '.venv/bin').mkdir(parents=True)
    (machine.folder / '.venv/bin/python').symlink_to('/nowhere/python')
    (machine.folder / 'work_dirs').mkdir()
    (machine.folder / 'work_dirs/setup.log.lock').touch()  # Of the set-up that was interrupted.
    assert machine.run()[0] == 0
    assert machine.calls()[0].startswith('-m venv --clear')


@pytest.mark.parametrize('folder', ['.venv', 'photos'])
def test_a_folder_of_others_is_not_cleared(folder, machine):
    own = machine.folder / folder / 'bin' / 'mine.txt'
    own.parent.mkdir(parents=True)
    own.touch()
    arguments = () if folder == '.venv' else (folder, '2.11.0', 'onedl')
    for _ in range(2):
        status, said, complaint = machine.run(*arguments)
        assert (status, said, len(complaint)) == (1, [], 1)
        assert f'{folder} holds what was not made here: move it away' in complaint[0]
    assert own.exists()


def test_half_installed_package_is_installed_again(machine):
    packages = machine.folder / '.venv/lib/python3.11/site-packages'
    machine.run()
    (packages / 'whole-1.0.dist-info').mkdir()
    (packages / 'whole-1.0.dist-info/INSTALLER').touch()
    (packages / 'half-1.0.dist-info').mkdir()
    machine.run()
    assert [path.name for path in packages.iterdir()] == ['whole-1.0.dist-info']


def test_peers_that_cannot_be_fetched_are_told_of_and_done_without(machine):
    fault = machine.fault('--target', 'echo "ERROR: No matching distribution"; exit 1')
    status, said, complaint = machine.run()
    assert (status, complaint) == (0, [])
    (told,) = (line for line in said if 'peers: not there' in line)
    assert 'ERROR: No matching distribution' in told
    assert 'tools/train_classifier.py needs a torchvision' in told
    assert said[-1].startswith('setup: ready')
    assert machine.run()[1] == said[-1:]  # No second try by itself.

    fault.unlink()
    (machine.folder / '.venv/ge_det-ready').unlink()
    machine.calls()
    assert machine.run()[0] == 0
    assert sum('--target' in call for call in machine.calls()) == 1


def test_half_fetched_peers_are_fetched_again(machine):
    fault = machine.fault(
        '--target', 'mkdir -p .venv/peers.part/torchvision-0.28.0.dist-info; exit 1'
    )
    machine.run()
    assert not (machine.folder / '.venv/peers').exists()
    fault.unlink()
    (machine.folder / '.venv/ge_det-ready').unlink()
    machine.run()
    assert len(list((machine.folder / '.venv/peers').iterdir())) == 2


def test_peers_stay_until_they_are_gone_or_others_are_asked_for(machine):
    machine.run()
    (machine.folder / '.venv/ge_det-ready').unlink()
    machine.calls()
    machine.run()
    assert not any('--target' in call for call in machine.calls())

    shutil.rmtree(machine.folder / '.venv/peers')
    machine.run()
    assert any('--target' in call for call in machine.calls())

    project = machine.folder / 'pyproject.toml'
    project.write_text(project.read_text().replace('timm==1.0.31', 'timm==1.0.32'))
    machine.run()
    (call,) = (call for call in machine.calls() if '--target' in call)
    assert call.endswith('torchvision==0.28.0 timm==1.0.32')


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_all_that_runs_and_the_next_run_goes_on(machine, number):
    fault = machine.fault('torch==', 'echo $$ >"$STUB/pid"; sleep 60')
    process = machine.start()
    pid = machine.stub / 'pid'
    while not (pid.exists() and pid.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert 'interrupted' in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)

    fault.unlink()
    assert machine.run()[0] == 0


def test_two_at_a_time_take_turns(machine):
    # The lock is the kernel's; the stub passes that call on to the real Python.
    machine.fault('fcntl', f'exec "{sys.executable}" "$@"')
    machine.fault('torch==', 'sleep 1')
    first, second = machine.start(), machine.start()
    said = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert first.returncode == second.returncode == 0
    assert sum('waiting' in text for text in said) == 1
    assert sum('torch==' in call for call in machine.calls()) == 1
