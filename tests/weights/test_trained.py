"""What is taken from a work dir: the best checkpoint, else the newest whole one, and the config."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from ge_det.errors import UserError
from ge_det.weights.trained import Trained, find_trained

CONFIG = "model = dict(type='RetinaNet')\n"


def save(path: Path, at: int, weight: float = 1.0) -> Path:
    torch.save(dict(meta={}, state_dict={'a.weight': torch.full((2, 2), weight)}), path)
    os.utime(path, (at, at))
    return path


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    (tmp_path / 'my.py').write_text(CONFIG)
    return tmp_path


def test_the_newest_best_checkpoint_is_taken(work_dir: Path) -> None:
    save(work_dir / 'epoch_3.pth', at=30)
    save(work_dir / 'best_coco_bbox_mAP_epoch_9.pth', at=10)
    best = save(work_dir / 'best_coco_bbox_mAP_epoch_2.pth', at=20)
    assert find_trained(str(work_dir)) == Trained(work_dir / 'my.py', best)
    earlier = work_dir / 'epoch_3.pth'
    assert find_trained(earlier) == Trained(work_dir / 'my.py', earlier)


def test_without_a_best_one_the_newest_whole_one_is_taken(work_dir: Path) -> None:
    whole = save(work_dir / 'epoch_9.pth', at=10)
    save(work_dir / 'epoch_2.pth', at=10)
    save(work_dir / 'epoch_10.pth', at=20, weight=float('nan'))
    cut = save(work_dir / 'epoch_11.pth', at=30)
    cut.write_bytes(cut.read_bytes()[:-300])
    assert find_trained(work_dir).checkpoint == whole
    whole.unlink()
    (work_dir / 'epoch_2.pth').unlink()
    with pytest.raises(UserError, match='none of its checkpoints can be used: .*epoch_11.pth: .*'):
        find_trained(work_dir)


def test_checkpoints_that_a_hook_writes_elsewhere(work_dir: Path) -> None:
    (work_dir / 'far').mkdir()
    far = save(work_dir / 'far/epoch_1.pth', at=10)
    (work_dir / 'last_checkpoint').write_text(str(far))
    assert find_trained(work_dir).checkpoint == far


def test_the_newest_config_is_taken(work_dir: Path) -> None:
    checkpoint = save(work_dir / 'iter_5.pth', at=10)
    (work_dir / 'new.py').write_text("base = 1\nmodel = dict(type='FasterRCNN')\n")
    (work_dir / 'notes.py').write_text('raise SystemExit("no config")\n')
    os.utime(work_dir / 'my.py', (10, 10))
    assert find_trained(work_dir) == Trained(work_dir / 'new.py', checkpoint)


@pytest.mark.parametrize(
    ('path', 'said'),
    [
        ('none', 'none: no such work dir or checkpoint; check the path'),
        ('my', 'my: no such work dir or checkpoint; did you mean work_dirs/my?'),
        ('work_dirs/my', 'work_dirs/my: no checkpoint there yet; `ge-det train` writes one'),
        (
            'other',
            'other: no checkpoint of a training there; give the file itself, such as other/w',
        ),
        ('empty', 'empty: not the work dir of a training: there is no config in it'),
        ('empty.pth', 'empty.pth: no config of a training beside it; give the config'),
    ],
)
def test_what_is_no_trained_detector(tmp_path, monkeypatch, path: str, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path('work_dirs/my').mkdir(parents=True)
    Path('work_dirs/my/my.py').write_text(CONFIG)
    Path('empty').mkdir()
    Path('other').mkdir()
    Path('other/my.py').write_text(CONFIG)
    save(Path('other/w.pth'), at=10)
    save(Path('empty.pth'), at=10)
    with pytest.raises(UserError) as raised:
        find_trained(path)
    assert str(raised.value).startswith(said) and '\n' not in str(raised.value)
