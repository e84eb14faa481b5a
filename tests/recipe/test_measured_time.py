"""Ten iterations with the photos themselves, and what is promised of them."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import exit_code

pytest.importorskip('mmdet')
from mmengine.config import Config

from ge_det.cli.plan import plan_of
from ge_det.config_writer.options import UserConfig
from ge_det.datasets import ContextShapes
from ge_det.datasets.coco_file import read_coco
from ge_det.recipe.trial import trials


@pytest.fixture(scope='module')
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('drawn')
    shapes = ContextShapes(size_shares=(0.5, 0.5, 0.0), cue_clearance=8)
    shapes.write(folder, train=9, val=3, progress=False)
    return folder


def arguments(drawn: Path) -> list[str]:
    pairs = [
        (f'--{role}-{what}', f'{drawn}/{place.format(role)}')
        for role in ('train', 'val')
        for what, place in (('json', 'annotations/{}.json'), ('images', '{}'))
    ]
    return [word for pair in pairs for word in pair]


def test_larger_pictures_take_longer_and_nothing_is_left(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    # In processor time, which other work on the machine does not lengthen: large ones take little
    # more than twice as long.
    clock = SimpleNamespace(perf_counter=time.thread_time)
    monkeypatch.setattr('ge_det.recipe.measure.time', clock)
    monkeypatch.setattr('ge_det.recipe.measure._SECONDS', 1.0)
    sets = [read_coco(drawn / f'annotations/{role}.json') for role in ('train', 'val')]
    small, large = (
        UserConfig(
            'x.json', 'y.json', str(drawn / 'train'), str(drawn / 'val'), sets[0].classes, 9, 1,
            small=True, depth=18, base_channels=16, pretrained='none', workers=0, scale=scale,
        )
        for scale in ((64, 64), (256, 256))
    )  # fmt: skip
    begin = time.perf_counter()
    with trials(*sets) as pace:
        paces = [pace(small), pace(large)]
    spent = time.perf_counter() - begin
    assert 0 < paces[0].iteration < paces[1].iteration
    assert all(one.val_picture > 0 for one in paces)
    assert 10 * (paces[0].iteration + paces[1].iteration) < spent
    assert not any(tmp_path.glob('ge_det-*'))


def test_the_promise_is_told_when_the_config_is_written_and_before_it_trains(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('https_proxy', 'http://127.0.0.1:1')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    more = '--small --base-channels 16 --scale 64 64 --workers 0 --time 10m --out my.py'
    assert exit_code('make-config', *arguments(drawn), *more.split()) == 0
    said = capsys.readouterr()
    assert 'measuring ten iterations with pictures of 64x64' in said.err
    table = dict(line.split()[:2] for line in said.out.splitlines() if line.startswith('  '))
    assert table['scale'] == '64' and table['attention'] == 'auto:' and table['time'].endswith('m')
    assert 'ge-det compare my.py --attention none se sge --seeds 3' in said.out
    cfg = Config.fromfile(tmp_path / 'my.py')
    assert 0 < cfg.promised.minutes <= 11 and cfg.promised.epochs == cfg.train_cfg.max_epochs
    cfg.train_cfg.max_epochs = cfg.promised.epochs // 2
    half = cfg.promised.minutes * cfg.train_cfg.max_epochs / cfg.promised.epochs
    shown = [line for line in plan_of(cfg, {}, None, None) if line.startswith('time:')]
    assert shown and ('minute' in shown[0]) and (half < 1.5) == ('a minute' in shown[0])
    assert not [line for line in plan_of(cfg, {}, None, 'epoch_1.pth') if 'time:' in line]


@pytest.mark.parametrize(
    ('flags', 'said'),
    [
        ('--time soon', '--time soon: give a time such as 20m or 2h'),
        ('--time 0m', 'give a time such as'),
        ('--time 5m --epochs 3', '--time and --epochs contradict each other'),
        ('--time 5m --no-measure', '--time and --no-measure contradict each other'),
        ('--from-scratch --pretrained a.pth', '--from-scratch and --pretrained contradict'),
        ('--anchor-scales 0', '--anchor-scales must be'),
        ('--frozen-stages 9', 'frozen_stages 9 is unknown'),
        ('--no-small', '--from-scratch starts from random weights'),
    ],
)
def test_what_cannot_be_is_one_line(
    drawn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: str,
    said: str,
) -> None:
    monkeypatch.setenv('https_proxy', 'http://127.0.0.1:1')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    out = tmp_path / 'my.py'
    words = [*arguments(drawn), '--out', str(out), *flags.split()]
    assert exit_code('make-config', *words) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not out.exists()
