"""Other stacks: the page tells what was run; and the build of mmcv on Python 3.13."""

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location('check_stack', ROOT / 'tools/check_stack.py')
check_stack = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_stack)


def test_the_table_is_that_of_the_rows():
    rows = json.loads(check_stack.ROWS.read_text(encoding='utf-8'))
    page = check_stack.PAGE.read_text(encoding='utf-8')
    assert check_stack.table(rows) + '\n\n' in page
    assert len({tuple(row[key] for key in check_stack.KEY) for row in rows}) == len(rows)


def test_the_tests_that_are_chosen_exist():
    for name in check_stack.FAST + check_stack.TRAINING:
        file, _, function = name.partition('::')
        assert (ROOT / file).exists(), name
        assert not function or f'def {function}(' in (ROOT / file).read_text(encoding='utf-8')


def test_a_failure_stays_in_the_row(tmp_path):
    (tmp_path / 'test_some.py').write_text(
        'import pytest\ndef test_a(): pass\ndef test_b(): assert 0\ndef test_c(): pytest.skip()\n'
    )
    counts = check_stack.run_tests((str(tmp_path / 'test_some.py'), '-p', 'no:cacheprovider'))
    assert (counts['passed'], counts['skipped'], len(counts['failed'])) == (1, 1, 1)
    assert counts['failed'][0].endswith('test_b')


def test_merged_sources_hold_each_source_once(tmp_path):
    spec = importlib.util.spec_from_file_location('merge', ROOT / 'tools/setup/merge_sources.py')
    spec.loader.exec_module(merge := importlib.util.module_from_spec(spec))
    names = {'pybind.cpp', 'nms.cpp', 'cpu/psamask.cpp', 'cpu/nms.cpp', 'cpu/roi_align.cpp'}
    (tmp_path / 'cpu').mkdir()
    for name in names:
        (tmp_path / name).write_text(f'// {name}\n')
    merge.merge(tmp_path)
    units = sorted(tmp_path.rglob('*.cpp'))
    assert [unit.name for unit in units] == [f'merged_{number}.cpp' for number in range(5)]
    included = [line.split('"')[1] for unit in units for line in unit.read_text().splitlines()]
    assert sorted(included) == sorted(name.replace('.cpp', '.inc') for name in names)
    assert all((tmp_path / name).read_text().startswith('//') for name in included)
    assert included.index('cpu/psamask.inc') > included.index('cpu/nms.inc')


# As the setup.py of mmcv 2.1.0 does it.
SETUP = """
def get_version():
    with open(version_file) as f:
        exec(compile(f.read(), version_file, 'exec'))
    return locals()['__version__']

version_file = 'version.py'
print(get_version())
exec('at_module_level = 1')
print(at_module_level)
names = {}
exec('x = 2', names)
print(names['x'], 'x' in globals())
"""


def test_exec_as_before(tmp_path):
    pyenv = Path(os.environ.get('PYENV_ROOT', Path.home() / '.pyenv')) / 'versions'
    found = [shutil.which('python3.13'), *pyenv.glob('3.13.*/bin/python')]
    sound = [
        p for p in found if p and not subprocess.run([p, '-V'], capture_output=True).returncode
    ]
    if not sound:
        pytest.skip('Python 3.13 is not on this machine')
    (tmp_path / 'setup.py').write_text(SETUP)
    (tmp_path / 'version.py').write_text("__version__ = '2.1.0'\ndef parse(): return __version__\n")

    def run(**environment):
        return subprocess.run(
            [sound[0], 'setup.py'], cwd=tmp_path, capture_output=True, text=True, env=environment
        )

    assert "KeyError: '__version__'" in run().stderr
    done = run(PYTHONPATH=str(ROOT / 'tools/setup/exec_as_before'))
    assert done.stdout.split() == ['2.1.0', '1', '2', 'False'], done.stderr


def test_a_new_run_takes_the_place_of_the_old(tmp_path, monkeypatch):
    page, rows = tmp_path / 'machines.md', tmp_path / 'stacks.json'
    head = f'Above.\n\n{check_stack.HEAD}\n|---|---|---|---|---|---|\n'
    page.write_text(f'{head}\nBelow.\n')
    monkeypatch.setattr(check_stack, 'PAGE', page)
    monkeypatch.setattr(check_stack, 'ROWS', rows)
    stack = dict(python='3.13.0', torch='2.13.0', family='OpenMMLab', numpy='2.5.0')
    good = dict(passed=3, skipped=0, failed=[], seconds=1)
    bad = dict(passed=1, skipped=1, failed=['test_b'], seconds=1)
    check_stack.add(dict(stack, training=bad))
    check_stack.add(dict(stack, family='onedl', training=good, tests=good))
    check_stack.add(dict(stack, training=good, tests=bad))
    assert page.read_text() == (
        f'{head}'
        '| 3.13.0 | 2.13.0 | OpenMMLab | 2.5.0 | 1 passed, 1 skipped, **1 failed** | 3 passed |\n'
        '| 3.13.0 | 2.13.0 | onedl | 2.5.0 | 3 passed | 3 passed |\n\nBelow.\n'
    )
