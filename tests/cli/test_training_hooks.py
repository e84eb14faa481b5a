"""Every training has the hooks of a sound one, once each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mmdet.registry import HOOKS as HOOKS_OF_MMDET
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS as REGISTRY
from mmengine.runner import Runner

from ge_det.cli.training_hooks import _LEFT_OUT_BY_NONE, HOOKS, missing_hooks
from ge_det.errors import UserError
from ge_det.hooks import TimelyProgress

ROOT = Path(__file__).parents[2]


class OwnSeeds(Hook):
    seeds_generators = True


@pytest.mark.parametrize(
    ('config', 'missing'),
    [
        ({}, list(HOOKS)),
        (dict(default_hooks=dict(timer=dict(type='IterTimerHook'))), list(HOOKS)),
        (
            dict(default_hooks=dict(invalid_loss=dict(type='CheckInvalidLossHook'))),
            ['randomness', 'resumable', 'progress'],
        ),
        (
            dict(custom_hooks=[dict(type=HOOKS['resumable'])]),
            ['invalid_loss', 'randomness', 'progress'],
        ),
        (
            dict(custom_hooks=[dict(type='ge_det.hooks.invalid_loss.StopAtInvalidLoss')]),
            ['randomness', 'resumable', 'progress'],
        ),
        (
            dict(custom_hooks=[dict(type=TimelyProgress), dict(type=OwnSeeds)]),
            ['invalid_loss', 'resumable'],
        ),
        (dict(custom_hooks=[dict(type='OwnSeeds')]), ['invalid_loss', 'resumable', 'progress']),
        (
            dict(default_scope='mmdet', custom_hooks=[dict(type='OfMMDet')]),
            ['invalid_loss', 'resumable', 'progress'],
        ),
    ],
)
def test_what_a_config_lacks(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], missing: list[str]
) -> None:
    monkeypatch.setitem(REGISTRY.module_dict, 'OwnSeeds', OwnSeeds)
    monkeypatch.setitem(HOOKS_OF_MMDET.module_dict, 'OfMMDet', OwnSeeds)
    options = [f'default_hooks.{key}.type={HOOKS[key]}' for key in missing]
    assert missing_hooks(Config(config)) == options


def test_only_hooks_of_mmengine_are_left_out_by_none() -> None:
    bare = Runner.__new__(Runner)
    bare._hooks = []
    for key in _LEFT_OUT_BY_NONE:
        missing_hooks(Config(dict(default_hooks={key: None})))
        bare.register_default_hooks({key: None})
    cfg = Config(dict(default_hooks=dict(logger=None, report=None)))
    with pytest.raises(UserError, match=r'default_hooks\.report=None: .*; take this one out'):
        missing_hooks(cfg)
    with pytest.raises(AssertionError):
        bare.register_default_hooks(cfg.default_hooks)


def test_what_a_test_lacks() -> None:
    cfg = Config(dict(custom_hooks=[dict(type='ge_det.ZeroPrecision')]))
    assert missing_hooks(cfg, 'test') == ['default_hooks.progress.type=ge_det.TimelyProgress']


@pytest.mark.parametrize('folder', ['coco', 'imagenet'])
def test_configs_of_ours_get_them_from_the_command(folder: str) -> None:
    if folder == 'imagenet':
        pytest.importorskip('mmpretrain')
    paths = sorted((ROOT / 'configs' / folder / 'sge').glob('*50*.py'))
    assert paths
    for path in paths:
        config = Config.fromfile(str(path))
        options = missing_hooks(config)
        assert len(options) == len(HOOKS)
        config.merge_from_dict(dict(option.split('=', 1) for option in options))
        assert missing_hooks(config) == []
