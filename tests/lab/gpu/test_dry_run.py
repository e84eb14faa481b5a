"""The GPU check at tiny sizes on a CPU, and what its runner does with jobs that go wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip('triton')

from ge_det.ops.triton_tools import runtime
from lab.gpu import check, detector, jobs, telling
from lab.gpu.check import ROOT, STEPS
from lab.gpu.jobs import Runner, Step


def test_every_step_runs(tmp_path: Path) -> None:
    again = {'bench-more', 'detector-last'}  # Steps before them, of other blocks or settings.
    steps = [step for step in STEPS if step not in again]
    command = [sys.executable, 'lab/gpu/check.py', '--dry-run', '--limit', '1200', '--only', *steps]
    folders = ['--out', str(tmp_path / 'out'), '--work', str(tmp_path / 'work')]
    done = subprocess.run([*command, *folders], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    rows = json.loads((tmp_path / 'out/summary.json').read_text())
    assert {row['step'] for row in rows} == set(steps)
    assert {row['status'] for row in rows} == {'ok'}
    results = {row['name']: [result['line'] for result in row['results']] for row in rows}
    assert all(lines for name, lines in results.items() if name != 'tests')
    for step in ('networks se', 'compile se'):
        assert any('needs a GPU, not checked' in line for line in results[step])
    assert 'images/s in training' in '\n'.join(results['detector'])
    report = (tmp_path / 'out/report.txt').read_text()
    assert report == done.stdout and '] 0 bad lines;' in report


@pytest.fixture(autouse=True)
def time_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Now, and not when the tests did."""
    monkeypatch.setattr(telling, 'BEGIN', time.monotonic())


def job(name: str, code: str, limit: float = 60) -> Step:
    return Step(name, name, ['-c', code], limit)


def test_jobs_that_go_wrong_are_told_and_the_rest_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, 'LEAST', 4)
    monkeypatch.setattr(jobs, 'PATIENCE', 1)
    runner = Runner(tmp_path, 1000, {})
    tell = (
        'import json; print("RESULT " + json.dumps(dict(name="n", line="{}", ok={})), flush=True)'
    )
    begin = time.monotonic()
    ran = [
        job('good', tell.format('all is well', True)),
        job('wrong', tell.format('1 is not 2', False)),
        job('dies', 'raise ValueError("of that")'),
        job('late', tell.format('half', True) + '; import time; time.sleep(600)', 4),
        job('deaf', 'import signal, time; signal.signal(2, signal.SIG_IGN); time.sleep(600)', 4),
    ]
    runner.run(ran, 5)
    assert time.monotonic() - begin < 30
    assert [j.status for j in ran] == ['ok', 'failed (0)', 'failed (1)', 'timeout', 'timeout']
    runner.limit = 0
    runner.run([job('next', 'pass')])
    assert not runner.summary()
    shown = capsys.readouterr().out
    assert 'BAD wrong: 1 is not 2' in shown and 'BAD dies: ValueError: of that' in shown
    assert 'late: half' in shown and 'NO TIME for next' in shown
    assert 'left: --only late deaf next' in shown
    saved = json.loads((tmp_path / 'summary.json').read_text())
    assert [row['status'] for row in saved][-1] == 'no time'


def test_what_pytest_knows_when_its_time_is_up_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, log = tmp_path / 'test_slow.py', tmp_path / 'out/log.txt'
    file.write_text(
        'import time\n\n'
        'def test_a():\n    assert 1 + 1 == 3, "a kernel is wrong"\n\n'
        'def test_b():\n    time.sleep(600)\n'
    )

    class Timer(threading.Timer):
        """Whose first end is as soon as one test has failed, however busy the machine is."""

        def run(self) -> None:
            until_failed = self.interval == 300
            self.interval -= 300
            while until_failed and 'FAILED' not in log.read_text():
                if self.finished.wait(0.1):
                    return
            super().run()

    monkeypatch.setattr(jobs, 'threading', SimpleNamespace(Timer=Timer, RLock=threading.RLock))
    monkeypatch.setattr(jobs, 'PATIENCE', 120)
    words = ['-m', 'pytest', '-v', '-n', '1', '-p', 'no:cacheprovider', '--rootdir', tmp_path, file]
    ran = Step('tests', 'tests', words, 300)
    Runner(tmp_path / 'out', 1000, dict(os.environ)).run([ran])
    assert ran.status == 'failed (2)'  # By its interruption.
    assert 'AssertionError: a kernel is wrong' in log.read_text()


def test_results_are_found_in_lines_that_others_wrote_into(tmp_path: Path) -> None:
    code = """
import os
from lab.gpu.telling import tell
os.write(1, b'a warning without an end: ')
tell('n', 'one result')
os.write(1, b'RESULT {"name": "cut off\\n')
os.write(1, b'RESULT {"name": "m", "line": "another", "ok": true}[W] not ours\\n')
"""
    ran = job('mixed', code)
    Runner(tmp_path, 1000, {'PYTHONPATH': str(ROOT), 'PYTHONUNBUFFERED': '1'}).run([ran])
    assert [result['ok'] for result in ran.results] == [True, False, True]
    assert [result['line'] for result in ran.results][::2] == ['one result', 'another']
    assert ran.status == 'failed (0)' and 'cut off' in ran.bad[0]


def test_nothing_more_is_begun_where_no_kernel_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    right: list[str] = []

    def run(self: Runner, steps: list[Step], at_once: int = 1) -> None:
        begun.extend(step.step for step in steps)
        for step in steps[:1]:
            names = ('machine', 'kernel a', 'kernel b')
            step.results = [dict(name=name, ok=name in right, line='') for name in names]

    monkeypatch.setattr(Runner, 'run', run)
    runner = Runner(tmp_path, 1000, {})
    for known, steps in (('machine', ['smoke']), ('kernel b', ['smoke', 'large'])):
        begun.clear()
        right[:] = [known]
        check.run_steps(check.parse_args(['--only', 'smoke', 'large']), runner)
        assert begun == steps
    assert 'no kernel runs' in capsys.readouterr().out


def test_after_an_error_kernels_are_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    with telling.guarded('one'):
        runtime._failed = True
        raise RuntimeError('no kernel')
    assert not runtime._failed
    assert '"ok": false' in capsys.readouterr().out


def test_what_a_tool_said_before_its_time_was_up_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / 'slow.py'
    script.write_text('import time; print("loss 1.5", flush=True); time.sleep(60)')
    with pytest.raises(subprocess.TimeoutExpired):
        detector.call(3, str(script))
    assert 'loss 1.5' in capsys.readouterr().out


def test_without_wheels_nothing_is_run(tmp_path: Path) -> None:
    command = [sys.executable, 'lab/gpu/check.py', '--wheels', str(tmp_path)]
    folders = ['--out', str(tmp_path / 'out'), '--work', str(tmp_path / 'work')]
    done = subprocess.run([*command, *folders], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout.endswith(
        f'BAD setup: no wheels in {tmp_path}: run lab/gpu/collect.sh where there is a network\n'
    )
