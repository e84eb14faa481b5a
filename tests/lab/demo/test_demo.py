"""The whole demo, tiny: interrupted, taken up again, and not repeated."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

from lab.forked_python import forked_python

ROOT = Path(__file__).parents[3]


def demo(work_dir, epochs):
    sizes = ['--train', '16', '--val', '8', '--epochs', str(epochs)]
    return subprocess.Popen(
        [sys.executable, ROOT / 'tools/demo.py', '--work-dir', work_dir, *sizes],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=work_dir,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
    )


def wait_for(work_dir, pattern, process):
    while not (found := list(work_dir.glob(pattern))):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    return found[0]


def test_interrupted_it_goes_on_and_finished_it_repeats_nothing(tmp_path):
    first = demo(tmp_path, epochs=3)
    note = wait_for(tmp_path, 'se-*/last_checkpoint', first)
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate()
    assert first.returncode == 130, errors
    assert errors.strip().splitlines()[-1] == 'demo: interrupted; run it again and it goes on'
    assert 'Traceback' not in errors

    kept = Path(note.read_text())
    written = kept.stat().st_mtime_ns
    with forked_python():
        second = demo(tmp_path, epochs=3)
        output, errors = second.communicate()
    assert second.returncode == 0, errors
    # The one of epoch 1 goes when that of epoch 3 is written: two are kept.
    assert not kept.exists() or kept.stat().st_mtime_ns == written
    assert all(word in output for word in ('deviate', 'with SE', 'context classes', 'minutes'))
    assert note.read_text().endswith('epoch_3.pth')
    picture = tmp_path / 'demo.jpg'
    assert Image.open(picture).format == 'JPEG'
    assert picture.stat().st_size < 250_000

    results = wait_for(tmp_path, 'se-*/results.json', second)
    times = [file.stat().st_mtime_ns for file in (results, note)]
    with forked_python():
        third = demo(tmp_path, epochs=3)
        again, _ = third.communicate()
    assert third.returncode == 0
    assert [file.stat().st_mtime_ns for file in (results, note)] == times
    assert again.splitlines()[-4:-2] == output.splitlines()[-4:-2]
