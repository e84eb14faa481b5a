"""The doctor, run as users run it, on this environment and on broken ones.

A broken piece is a package of the same name, put first on the path of the process.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

import pytest
from linked_checkout import linked_checkout

from ge_det.cli import doctor

ROOT = Path(__file__).parents[2]


needs_stack = pytest.mark.skipif(find_spec('mmdet') is None, reason='mmdet is not installed')


def run(*pieces, path='', python=sys.executable, root=ROOT):
    """The exit status of the doctor and its report, one entry a piece."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(path or root), str(root)]))
    command = [str(python), str(root / 'ge_det/cli/doctor.py'), *pieces]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert 'Traceback' not in done.stderr
    report, name = {}, ''
    for line in done.stdout.splitlines():
        name = name if line.startswith(' ') else line.split()[0]
        report[name] = report.get(name, '') + line + '\n'
    return done.returncode, report


@pytest.fixture
def fake(tmp_path):
    """Make a package, and if given a version its metadata too; the path it lies on."""

    def make(name, body, version='', distribution=''):
        (tmp_path / name).mkdir()
        (tmp_path / name / '__init__.py').write_text(body)
        if version:
            distribution = distribution or name
            info = tmp_path / f'{distribution.replace("-", "_")}-{version}.dist-info'
            info.mkdir()
            (info / 'METADATA').write_text(f'Name: {distribution}\nVersion: {version}\n')
        return tmp_path

    return make


@needs_stack
def test_this_environment_is_sound():
    status, report = run()
    assert list(report) == [check.name for check in doctor.CHECKS]
    assert not [line for line in report.values() if 'FAIL' in line]
    assert 'ops on' in report['mmcv']
    assert status == 0


def test_it_is_a_command_too():
    done = subprocess.run(
        [sys.executable, '-m', 'ge_det', 'doctor', 'python'],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0
    assert done.stdout.split()[:2] == ['python', sys.version.split()[0]]
    assert done.stdout.endswith(' ok\n')


# The second is what the script `ge-det` does.
COMMANDS = {
    'file': [doctor.__file__],
    'module': ['-m', 'ge_det', 'doctor'],
    'script': ['-c', 'import sys; from ge_det.cli.main import main; sys.exit(main())', 'doctor'],
}
CRASH = 'import os, signal; os.kill(os.getpid(), signal.SIGSEGV)'


@pytest.mark.parametrize('command', COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(
    ('body', 'said'),
    [
        ("raise OSError('libtorch_cuda.so: cannot open')", 'FAIL OSError: libtorch_cuda.so'),
        (CRASH, 'FAIL crashed with SIGSEGV'),
    ],
    ids=['error', 'crash'],
)
def test_broken_torch_does_not_stop_it(fake, command, body, said):
    """However it is run: what it imports itself must do without torch."""
    path = fake('torch', body)
    done = subprocess.run(
        [sys.executable, *command, 'torch', 'CUDA', 'numpy'],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(path), str(ROOT)])),
    )
    assert done.stderr == ''
    assert done.returncode == 1
    assert said in done.stdout
    assert re.search(r'numpy .* ok\n', done.stdout)
    assert 'pip install' in done.stdout and 'uninstall' not in done.stdout


@pytest.mark.parametrize('arguments', [['blocks'], ['train', 'my.py']], ids=' '.join)
def test_crash_of_torch_is_told_by_the_other_commands(fake, tmp_path, arguments):
    path = fake('torch', CRASH)
    (tmp_path / 'my.py').touch()
    done = subprocess.run(
        [sys.executable, '-m', 'ge_det', *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(path), str(ROOT)])),
    )
    assert done.returncode == -signal.SIGSEGV
    assert 'Segmentation fault' in done.stderr
    assert str(path / 'torch' / '__init__.py') in done.stderr


@pytest.mark.parametrize(
    ('version', 'suits'), [('3.9', False), ('3.10', True), ('3.13', True), ('3.14', False)]
)
def test_the_versions_of_python(version, suits, tmp_path):
    root = Path(os.environ.get('PYENV_ROOT', Path.home() / '.pyenv')) / 'versions'
    found = [shutil.which(f'python{version}'), *root.glob(f'{version}.*/bin/python')]
    sound = [
        p for p in found if p and not subprocess.run([p, '-V'], capture_output=True).returncode
    ]
    if not sound:
        pytest.skip(f'Python {version} is not on this machine')
    status, report = run('python', python=sound[0], root=linked_checkout(tmp_path / 'checkout'))
    assert 'Python 3.10 to 3.13 is needed' in report['python'] or suits
    assert (status == 0) == suits
    assert ('PYTHON=' in report['python']) != suits


@needs_stack
def test_broken_torchvision_fails_and_is_named_as_the_cause(fake):
    path = fake('torchvision', "raise RuntimeError('operator torchvision::nms does not exist')")
    status, report = run('numpy', 'mmdet', 'torchvision', path=path)
    assert status == 1
    assert ' ok' in report['numpy']
    assert 'FAIL RuntimeError: operator torchvision::nms does not exist' in report['torchvision']
    assert report['torchvision'].endswith('pip uninstall -y torchvision\n')
    # mmdet imports mmpretrain, if there is one, and that imports torchvision.
    if 'FAIL' in report['mmdet']:
        assert report['mmdet'].endswith('pip uninstall -y torchvision\n')


def test_sound_torchvision_is_fine(fake):
    status, report = run('torchvision', path=fake('torchvision', "__version__ = '0.28.0'"))
    assert status == 0
    assert report['torchvision'].split() == ['torchvision', '0.28.0', 'ok']


def test_grad_cam_that_lacks_a_library_or_is_too_old(fake):
    path = fake('pytorch_grad_cam', 'import ttach_of_old', '1.5.5', 'grad-cam')
    fake('torchvision', '')
    status, report = run('grad-cam', path=path)
    assert status == 1
    assert "FAIL ModuleNotFoundError: No module named 'ttach_of_old'" in report['grad-cam']
    assert report['grad-cam'].endswith("pip install 'grad-cam>=1.5.4,<2'\n")
    (path / 'pytorch_grad_cam/__init__.py').write_text('')
    assert run('grad-cam', path=path)[1]['grad-cam'].split() == ['grad-cam', '1.5.5', 'ok']
    (metadata,) = path.glob('grad_cam-*/METADATA')
    metadata.write_text('Name: grad-cam\nVersion: 1.4.0\n')
    status, report = run('grad-cam', path=path)
    assert status == 1 and 'FAIL grad-cam>=1.5.4,<2 is needed' in report['grad-cam']
    assert report['grad-cam'].endswith("pip install 'grad-cam>=1.5.4,<2'\n")


@needs_stack
def test_mmcv_that_mmdet_refuses(fake):
    path = fake('mmcv', "__version__ = '2.2.0'", version='2.2.0')
    status, report = run('mmcv', 'mmdet', path=path)
    assert status == 1
    assert 'FAIL AssertionError: MMCV==2.2.0 is used but incompatible' in report['mmdet']
    assert '<2.2.0' in report['mmdet']
    assert '--force-reinstall' in report['mmdet']
    assert report['mmdet'].endswith(' mmcv==2.1.0\n')


@needs_stack
def test_mmcv_without_ops(fake):
    path = fake('mmcv', "__version__ = '2.1.0'", version='2.1.0')
    (path / 'mmcv' / 'ops.py').write_text('import mmcv._ext')
    status, report = run('mmcv', path=path)
    assert status == 1
    assert "No module named 'mmcv._ext'" in report['mmcv']
    assert 'MMCV_WITH_OPS=1' in report['mmcv']
    assert '--no-build-isolation' in report['mmcv']
    assert '--no-cache-dir' in report['mmcv']


@pytest.mark.parametrize(
    ('body', 'said'),
    [
        ('import os; os.abort()', 'crashed with SIGABRT'),
        ('import os; os._exit(3)', 'ended with status 3'),
        ('raise SystemExit(0)', 'ended without an answer'),
        ("raise OSError('libsomething.so: cannot open')", 'OSError: libsomething.so'),
        ('assert False', 'AssertionError'),
    ],
)
def test_nothing_that_a_piece_does_hides_the_others(fake, body, said):
    status, report = run('pycocotools', 'numpy', path=fake('pycocotools', body))
    assert status == 1
    assert f'FAIL {said}' in report['pycocotools']
    assert 'pip install' in report['pycocotools']
    assert ' ok' in report['numpy']


def test_a_piece_that_hangs(fake, monkeypatch):
    path = fake('pycocotools', 'import time; time.sleep(60)')
    monkeypatch.setenv('PYTHONPATH', str(path))
    monkeypatch.setattr(doctor, 'TIMEOUT', 1)
    assert doctor.main(['pycocotools']) == 1


@needs_stack
def test_what_needs_torch_waits_for_it_and_is_not_to_be_mended(fake):
    status, report = run('torch', 'mmcv', 'mmdet', path=fake('torch', 'raise ImportError("gone")'))
    assert status == 1 and 'mend:' in report['torch']
    for piece in ('mmcv', 'mmdet'):
        assert 'FAIL waits for torch' in report[piece] and 'mend:' not in report[piece]


def test_old_torch(fake):
    body = "__version__ = '2.5.1+cpu'\ndef ones(n): return __import__('numpy').ones(n)"
    status, report = run('torch', path=fake('torch', body))
    assert status == 1
    assert (
        'torch 2.10 or newer is needed: a file of weights can make older ones overwrite memory'
        in report['torch']
    )
    assert '--no-deps' not in report['torch']  # A newer torch brings its own.


def test_new_setuptools(fake):
    path = fake('pkg_resources', 'raise ModuleNotFoundError("No module named \'pkg_resources\'")')
    status, report = run('setuptools', path=path)
    assert status == 1
    assert '<82' in report['setuptools']


@needs_stack
def test_opencv_without_the_libraries_of_a_desktop(fake):
    path = fake('cv2', "raise ImportError('libGL.so.1: cannot open shared object file')")
    status, report = run('opencv', 'mmcv', path=path)
    assert status == 1
    for piece in ('opencv', 'mmcv'):
        assert report[piece].endswith('--no-deps opencv-python-headless\n')


@needs_stack
def test_forks_are_as_good_as_the_originals(fake):
    path = fake('mmcv', "__version__ = '2.3.6'", version='2.3.6', distribution='onedl-mmcv')
    (path / 'mmcv' / 'ops.py').write_text('def nms(boxes, scores, threshold): pass')
    status, report = run('mmcv', path=path)
    assert status == 0
    assert 'onedl-mmcv' in report['mmcv']


def test_beside_forks_the_mend_is_a_fork(fake):
    path = fake('mmcv', "__version__ = '2.3.6'", version='2.3.6', distribution='onedl-mmcv')
    status, report = run('mmdet', path=path)
    assert status == 1
    assert 'onedl-mmdetection' in report['mmdet']


def test_forks_over_the_originals(fake):
    names = ('mmcv', '2.1.0', 'mmcv'), ('other', '2.3.6', 'onedl-mmcv')
    for name, version, distribution in names:
        path = fake(name, '', version=version, distribution=distribution)
    status, report = run('family', path=path)
    assert status == 1
    assert 'mmcv' in report['family'] and 'onedl-mmcv' in report['family']
    assert 'lie over each other' in report['family']
    remove, again = report['family'].partition('mend: ')[2].split(' && ')
    assert ' mmcv' in remove and 'onedl' not in remove
    assert again.rstrip().endswith(' onedl-mmcv') and '--no-build-isolation' in again


def test_old_numpy(fake):
    status, report = run('numpy', path=fake('numpy', "__version__ = '1.25.2'"))
    assert status == 1
    assert 'numpy 1.26 or newer is needed' in report['numpy']


def test_empty_environment(tmp_path):
    """All is missing but Python; the doctor says so, piece by piece."""
    venv.create(tmp_path / 'empty', with_pip=False, symlinks=True)
    python = tmp_path / 'empty' / 'bin' / 'python'
    status, report = run(python=python, root=linked_checkout(tmp_path / 'checkout'))
    assert status == 1
    assert list(report) == [check.name for check in doctor.CHECKS]
    for check in doctor.CHECKS:
        if check.name == 'python':
            assert ' ok' in report[check.name]
        elif check.optional:
            assert report[check.name].split() == [check.name, '-']
        else:
            assert 'FAIL is not installed' in report[check.name]
            assert 'pip install ' in report[check.name]


def test_unknown_piece(capsys):
    with pytest.raises(SystemExit) as error:
        doctor.main(['tensorflow'])
    assert error.value.code == 2
    assert 'no piece is called tensorflow' in capsys.readouterr().err
