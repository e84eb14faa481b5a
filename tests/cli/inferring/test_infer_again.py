"""`ge-det infer --resume`: a run that was interrupted or killed goes on, with whole lists."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip('mmdet')

from infer_runs import infer, listed, picture, rows

from ge_det.cli.inferring.lists import Lists


def test_an_interrupted_run_goes_on(photos: Path, detector: Path, capsys) -> None:
    for name in 'abc':
        picture().save(photos / f'{name}.png')
    assert infer(detector, photos / 'a.png', photos / 'b.png', '--score-thr', 0) == 0
    before = Path('out/vis/a.png').stat().st_mtime_ns
    os.remove('out/vis/b.png')
    assert infer(detector, photos, '--score-thr', 0) == 2
    assert 'out/vis/a.png and 2 others are there already' in capsys.readouterr().err
    assert infer(detector, photos, '--score-thr', 0, '--resume') == 0
    said = capsys.readouterr().out
    assert '1 of 3 images is drawn already' in said and 'out: 2 images' in said
    assert sorted(os.listdir('out/vis')) == ['a.png', 'b.png', 'c.png']
    assert Path('out/vis/a.png').stat().st_mtime_ns == before
    check_whole_lists(['a.png', 'b.png', 'c.png'])
    assert infer(detector, photos, '--score-thr', 0, '--resume') == 0
    assert '3 of 3 images are drawn already' in capsys.readouterr().out
    # Of what an older checkpoint has drawn, nobody knows what is to be drawn anew.
    assert infer(detector, photos, '--overwrite', '--resume') == 2
    assert 'give one of them' in capsys.readouterr().err
    assert infer(detector, photos, '--score-thr', 0.5, '--resume') == 2
    assert 'my_1.pth and --score-thr 0.0; --resume goes on with the same' in capsys.readouterr().err
    assert infer(detector, photos / 'a.png', '--score-thr', 0.5, '--overwrite') == 0
    assert [image['file_name'] for image in listed()['images']] == ['a.png']


def test_only_bad_pictures_are_left(photos: Path, detector: Path, capsys) -> None:
    """They are skipped as in the run before."""
    picture().save(photos / 'a.png')
    (photos / 'bad.png').write_text('<!DOCTYPE html>')
    for more in ([], ['--resume'], ['--resume']):
        assert infer(detector, photos, '--score-thr', 0, *more) == 1
        assert 'skipped ph/bad.png: a web page' in capsys.readouterr().err.replace(
            f'{photos}', 'ph'
        )
        check_whole_lists(['a.png'])
    shutil.rmtree('out')
    (photos / 'a.png').unlink()
    assert infer(detector, photos, '--resume') == 2


def check_whole_lists(names: list[str]) -> None:
    assert [image['file_name'] for image in listed()['images']] == names
    numbers = range(1, 5 * len(names) + 1)
    assert [one['id'] for one in listed()['annotations']] == list(numbers)
    assert [Path(row['path']).name for row in rows()] == [name for name in names for _ in range(5)]
    assert all(os.path.isfile(row['path']) for row in rows())
    assert not Path('out/detections.part.jsonl').exists()


def test_a_killed_run_goes_on(photos: Path, detector: Path, monkeypatch, capsys) -> None:
    """Killed while it writes a line, and once more when all is drawn but the lists."""
    for name in 'abc':
        picture().save(photos / f'{name}.png')
    part = Path('out/detections.part.jsonl')
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Lists, 'finish', killed)
        infer(detector, photos, '--score-thr', 0)
    lines = part.read_bytes().splitlines(keepends=True)
    assert len(lines) == 4 and not Path('out/detections.json').exists()
    part.write_bytes(b''.join(lines)[:-9])
    os.remove('out/vis/b.png')
    assert infer(detector, photos, '--score-thr', 0) == 2
    assert 'and 2 others are there already' in capsys.readouterr().err
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Lists, 'finish', killed)
        infer(detector, photos, '--score-thr', 0, '--resume')
    assert '2 of 3 images are drawn already, 1 of them not listed' in capsys.readouterr().out
    assert infer(detector, photos, '--score-thr', 0, '--resume') == 0
    check_whole_lists(['a.png', 'b.png', 'c.png'])


class Killed(BaseException):
    """As nothing catches it."""


def killed(*_: object) -> None:
    raise Killed
