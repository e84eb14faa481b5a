"""``ge-det report`` on a small training that was really run."""

from __future__ import annotations

import json
import re
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from command_line import exit_code
from html_page import Page

pytest.importorskip('mmdet')

from mmdet.evaluation import CocoMetric
from mmengine.runner import Runner
from tiny_detector import tiny_detector

EPOCHS = 2


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work dir of a training of two sessions, the second resumed; its hook writes the report."""
    folder = tmp_path_factory.mktemp('trained')
    for epochs in range(1, EPOCHS + 1):
        config = tiny_detector(folder / 'data', epochs)
        config.work_dir = str(folder / 'run')
        config.resume = epochs > 1
        # MMEngine has one visualizer of a name, and the first session's writes into its folder.
        config.experiment_name = config.visualizer.name = f'session{epochs}'
        if epochs == EPOCHS:
            config.default_hooks.report = dict(type='ge_det.WriteReport')
        Runner.from_cfg(config).train()
    (folder / 'run/faster-rcnn_r50-narrow.py').rename(folder / 'run/my.py')
    (folder / 'run/last_checkpoint').unlink()  # It would lead copies here.
    return folder


@pytest.fixture
def work_dir(trained: Path, tmp_path: Path) -> Path:
    """A copy of it, whose data a test may spoil."""
    shutil.copytree(trained, tmp_path / 'copy')
    file = tmp_path / 'copy/run/my.py'
    file.write_text(file.read_text().replace(str(trained), str(tmp_path / 'copy')))
    return tmp_path / 'copy/run'


def test_the_hook_has_written_it(trained: Path) -> None:
    assert 'FasterRCNN' in Page(trained / 'run/report/index.html').text
    assert {file.name for file in (trained / 'run/report').iterdir()} >= {
        *('curves.png', 'confusion.png', 'errors.png', 'detections.json', 'log')
    }


def scores(file: Path, value: float) -> None:
    """Give all detections that are kept a score."""
    found = json.loads(file.read_text())
    file.write_text(json.dumps([{**one, 'score': value} for one in found]))


def test_the_page_stands_alone(work_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = (work_dir / 'report/detections.json').stat().st_mtime_ns
    assert exit_code('report', str(work_dir)) == 0
    assert (work_dir / 'report/detections.json').stat().st_mtime_ns == made  # Nothing has changed.
    assert capsys.readouterr().out == f'report:  {work_dir / "report/index.html"}\n'
    page = Page(work_dir / 'report/index.html')
    assert page.loads and all(one.startswith('data:image/') for one in page.loads)
    assert 'script' not in page.tags and 'http' not in page.text
    assert (work_dir / 'report/index.html').stat().st_size < 5e6
    for name in ('curves', 'classes', 'confusion', 'errors', 'precision_recall'):
        assert (work_dir / f'report/{name}.png').stat().st_size > 1000
    for words in ('FasterRCNN', 'se', 'buoy', f'ge-det infer PHOTOS --checkpoint {work_dir}'):
        assert words in page.text
    assert not list(work_dir.glob('report/.*'))


def test_its_ap_is_that_of_the_training(work_dir: Path) -> None:
    page = Page(work_dir / 'report/index.html')
    lines = [json.loads(line) for file in sorted(work_dir.glob('*/vis_data/scalars.json'))
             for line in file.read_text().splitlines()]  # fmt: skip
    best = max(one.get('coco/bbox_mAP', 0) for one in lines)
    told = re.search(r'AP (\d+\.\d), AP50', page.text)
    assert told and float(told[1]) == pytest.approx(100 * best, abs=0.06)


def test_sessions_are_one_row(work_dir: Path) -> None:
    from ge_det.report.history import read_history

    history = read_history(work_dir)
    assert [one['step'] for one in history.val] == [1, 2]
    assert [one['step'] for one in history.train] == [1, 2, 3, 4, 5, 6]
    assert history.train_places()[-1] == EPOCHS
    assert history.machine.endswith(f'PyTorch {__import__("torch").__version__}')


def test_the_training_took_as_long_as_it_trained(work_dir: Path) -> None:
    from ge_det.report.history import read_history

    logs, form = [*work_dir.glob('*/*.log')], '%Y/%m/%d %H:%M:%S'
    for log in logs:  # A session may take less than a second, the unit of a log.
        begun, rest = log.read_text()[:19], log.read_text()[19:]
        log.write_text(f'{datetime.strptime(begun, form) - timedelta(minutes=10):{form}}{rest}')
    took = read_history(work_dir).seconds
    assert logs and 0 <= took - 600 * len(logs) < 600
    for log in logs:
        with log.open('a') as file:  # What `ge-det train` says after the report, and of a test.
            file.write('2099/01/01 00:00:00 - stdout - INFO - best checkpoint: a; next: infer\n')
            file.write('2099/01/01 00:00:00 - mmengine - INFO - Epoch(test) [2/2]  coco/a: 1\n')
            file.write('2099/01/01 00:00:00 - mmengine - WARNING - no report of the training\n')
    assert read_history(work_dir).seconds == took


def test_photos_that_have_moved(work_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.move(work_dir.parent / 'data/val', work_dir.parent / 'moved')
    scores(work_dir / 'report/detections.json', 0.9)
    assert exit_code('report', str(work_dir)) == 0  # Of the detections that are kept.
    assert 'not shown, no more in' in Page(work_dir / 'report/index.html').text
    option = '--cfg-options val_dataloader.dataset.data_prefix.img=FOLDER'
    assert option in capsys.readouterr().out
    annotations = work_dir.parent / 'data/annotations/val.json'
    annotations.write_text(annotations.read_text() + '\n')
    capsys.readouterr()
    assert exit_code('report', str(work_dir)) == 2  # They have to be made anew.
    told = capsys.readouterr().err
    assert told.count('\n') == 1 and f'{work_dir.parent}/data/val: no such folder' in told
    moved = f'val_dataloader.dataset.data_prefix.img={work_dir.parent}/moved/'
    assert exit_code('report', str(work_dir), '--cfg-options', moved) == 0
    assert 'not shown, no more in' not in Page(work_dir / 'report/index.html').text
    found = json.loads((work_dir / 'report/detections.json').read_text())
    assert any(one['score'] != 0.9 for one in found)


def test_a_test_that_leaves_no_results(work_dir: Path, monkeypatch, capsys) -> None:
    kept = work_dir / 'report/detections.json'
    kept.unlink()
    monkeypatch.setattr(CocoMetric, 'results2json', lambda *_: {})
    assert exit_code('report', str(work_dir)) == 2
    told = capsys.readouterr().err
    assert 'left no results there' in told.splitlines()[-1]
    assert not kept.exists()


def _no_folder(work_dir: Path) -> Path:
    return work_dir / 'nowhere'


def _file(work_dir: Path) -> Path:
    return work_dir / 'my.py'


def _no_checkpoint(work_dir: Path) -> Path:
    for file in work_dir.glob('*.pth'):
        file.unlink()
    return work_dir


def _no_config(work_dir: Path) -> Path:
    (work_dir / 'my.py').unlink()
    return work_dir


def _no_annotations(work_dir: Path) -> Path:
    (work_dir.parent / 'data/annotations/val.json').unlink()
    return work_dir


def _no_json(work_dir: Path) -> Path:
    (work_dir.parent / 'data/annotations/val.json').write_text('{')
    return work_dir


def _no_val_set(work_dir: Path) -> Path:
    with (work_dir / 'my.py').open('a') as file:
        file.write('\nval_dataloader = None\n')
    return work_dir


@pytest.mark.parametrize(
    ('spoil', 'words'),
    [
        (_no_folder, 'no such work dir'),
        (_file, 'is a file'),
        (_no_checkpoint, 'no checkpoint there yet'),
        (_no_config, 'no config'),
        (_no_annotations, 'val.json: no such annotation file'),
        (_no_json, 'val.json'),
        (_no_val_set, 'one val set in COCO format'),
    ],
)
def test_what_lacks_is_one_line(work_dir: Path, spoil, words: str, capsys) -> None:
    assert exit_code('report', str(spoil(work_dir))) == 2
    told = capsys.readouterr().err
    assert told.count('\n') == 1 and words in told
