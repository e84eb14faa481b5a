"""Every COCO config is there and is what its name and comment say."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from coco_matrix import (
    BLOCK,
    COCO,
    DETECTORS,
    MMDET,
    ONE_VALUE_AN_IMAGE,
    R50,
    R101,
    SHARED_CHANGES,
    Case,
    block_configs,
    every_config,
    every_detector,
    parsed,
    r101_configs,
)
from mmengine.config import Config
from mmengine.runner import Runner


def flat(value: Any, key: str = '') -> dict[str, Any]:
    """Nested dicts and lists as ``{'a.0.b': leaf}``, without MMEngine's scope marks."""
    if isinstance(value, dict) and value:
        items = value.items()
    elif isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
        items = enumerate(value)
    else:
        return {key: value}
    leaves = {}
    for name, child in items:
        if name != '_scope_':
            leaves.update(flat(child, f'{key}.{name}' if key else str(name)))
    return leaves


def changes(base: Config, config: Config) -> dict[str, Any]:
    """Dotted keys whose value differs, with the value in ``config``, None where it is gone."""
    before, after = flat(base.to_dict()), flat(config.to_dict())
    absent = object()
    return {
        key: after.get(key)
        for key in before.keys() | after.keys()
        if before.get(key, absent) != after.get(key, absent)
    }


def comment(path: Path) -> list[str]:
    """The comment a config starts with, line by line."""
    lines = path.read_text(encoding='utf-8').splitlines()
    code = next(i for i, line in enumerate(lines) if not line.startswith('#'))
    return [line[1:].strip() for line in lines[:code]]


def test_the_matrix_is_complete() -> None:
    assert len(R50) == 44
    assert len(R101) == 16
    assert set(COCO.rglob('*.py')) == {case.path for case in R50 + R101}


def test_the_readme_links_every_config_once() -> None:
    links = re.findall(r'\]\(([^)]+\.py)\)', (COCO / 'README.md').read_text(encoding='utf-8'))
    assert sorted(links) == sorted(str(case.path.relative_to(COCO)) for case in R50 + R101)


@every_config
def test_backbone_is_what_the_name_says(case: Case) -> None:
    config = parsed(case.path)
    backbone = config.model.backbone.to_dict()
    attention = BLOCK[case.block][1]

    assert config.model.type == DETECTORS[case.detector].type
    assert backbone.pop('type') == 'ge_det.AttentionResNet'
    assert backbone.pop('depth') == case.depth
    assert backbone.pop('attention', None) == attention
    assert backbone.pop('pretrained') == dict(checkpoint=case.weights)
    assert backbone == dict(
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        style='pytorch',
        init_cfg=None,
    )


@every_config
def test_recipe_is_the_authors(case: Case) -> None:
    detector = DETECTORS[case.detector]
    config = parsed(case.path)
    model = flat(config.model.to_dict())

    warm_up, steps = (scheduler.to_dict() for scheduler in config.param_scheduler)
    assert (warm_up['type'], warm_up['by_epoch']) == ('LinearLR', False)
    assert (warm_up['begin'], warm_up['end']) == (0, 500)
    assert warm_up['start_factor'] == pytest.approx(1 / 3)
    assert (steps['type'], steps['by_epoch'], steps['gamma']) == ('MultiStepLR', True, 0.1)
    assert (steps['begin'], steps['end']) == (0, detector.epochs)
    assert steps['milestones'] == list(detector.drops)
    assert config.train_cfg.max_epochs == detector.epochs

    optim = config.optim_wrapper.to_dict()
    optim.pop('_scope_', None)
    # No paramwise_cfg: the weight decay holds for every parameter.
    assert optim == dict(
        type='OptimWrapper',
        optimizer=dict(type='SGD', lr=detector.lr, momentum=0.9, weight_decay=0.0001),
        clip_grad=dict(max_norm=35, norm_type=2),
    )
    assert config.train_dataloader.batch_size * 8 == 16
    assert config.auto_scale_lr.to_dict() == dict(enable=False, base_batch_size=16)

    for key, beta in detector.betas.items():
        assert model[f'{key}.type'] == 'SmoothL1Loss', key
        assert model[f'{key}.beta'] == pytest.approx(beta), key
        assert model[f'{key}.loss_weight'] == 1.0, key
    assert not [key for key, value in model.items() if value == 'L1Loss']
    for name in detector.roi_layers:
        key = f'roi_head.{name}.roi_layer'
        assert (model[f'{key}.type'], model[f'{key}.sampling_ratio']) == ('RoIAlign', 2)
    assert sum(key.endswith('.sampling_ratio') for key in model) == len(detector.roi_layers)

    train, test = config.train_dataloader.dataset, config.test_dataloader.dataset
    assert train.ann_file == 'annotations/instances_train2017.json'
    assert test.ann_file == 'annotations/instances_val2017.json'
    assert [step.prob for step in train.pipeline if step.type == 'RandomFlip'] == [0.5]
    for pipeline in (train.pipeline, test.pipeline):
        resize = next(step for step in pipeline if step.type == 'Resize')
        assert (tuple(resize.scale), resize.keep_ratio) == ((1333, 800), True)


@every_config
def test_comment_says_what_the_config_holds(case: Case) -> None:
    config, lines = parsed(case.path), comment(case.path)
    title = DETECTORS[case.detector].title
    depth = config.model.backbone.depth
    if case.block == 'baseline':
        scope = 'every block, and the recipe of all' if depth == 50 else 'the blocks at this depth'
        first = f'{title} with a plain ResNet-{depth}: the baseline of {scope}.'
    else:
        first = f'{title} with {BLOCK[case.block][0]} in every residual unit of ResNet-{depth}.'
    epochs = config.train_cfg.max_epochs
    drops = ' and '.join(map(str, config.param_scheduler[1].milestones))
    lr, images = config.optim_wrapper.optimizer.lr, config.auto_scale_lr.base_batch_size
    second = f'{epochs} epochs, drops at {drops}, lr {lr} for {images} images.'
    assert lines[:2] == [first, second]


@every_config
def test_runs_without_custom_imports_or_torchvision(case: Case) -> None:
    config = parsed(case.path)
    assert config.default_scope == 'mmdet'
    assert 'custom_imports' not in config
    assert 'torchvision' not in str(config.to_dict())


@every_detector
def test_baseline_changes_nothing_but_the_recipe(name: str) -> None:
    case, detector = Case(name, 50, 'baseline'), DETECTORS[name]
    folder, file = name.replace('-', '_'), case.path.name
    base = parsed(MMDET / 'configs' / folder / file)
    assert changes(base, parsed(case.path)) == {**SHARED_CHANGES, **detector.changes}
    assert f"_base_ = 'mmdet::{folder}/{file}'" in case.path.read_text(encoding='utf-8')


@block_configs
def test_block_changes_nothing_but_the_attention(case: Case) -> None:
    baseline = Case(case.detector, 50, 'baseline')
    expected = {
        f'model.backbone.attention.{key}': value for key, value in BLOCK[case.block][1].items()
    }
    if case.block == 'se':
        expected['model.backbone.pretrained.checkpoint'] = case.weights
    if case.block in ONE_VALUE_AN_IMAGE:
        expected['sync_bn'] = 'torch'
    assert changes(parsed(baseline.path), parsed(case.path)) == expected


@r101_configs
def test_r101_changes_nothing_but_depth_and_weights(case: Case) -> None:
    shallow = Case(case.detector, 50, case.block)
    assert changes(parsed(shallow.path), parsed(case.path)) == {
        'model.backbone.depth': 101,
        'model.backbone.pretrained.checkpoint': case.weights,
    }


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_mmdets_own_tools_take_a_config(tool: str, tmp_path: Path, monkeypatch: Any) -> None:
    taken = []

    def from_cfg(config: Config) -> SimpleNamespace:
        taken.append(config)
        return SimpleNamespace(train=lambda: None, test=lambda: None)

    path = Case('cascade-rcnn', 50, 'ge-theta-e8').path
    arguments = [str(path), '--work-dir', str(tmp_path)]
    if tool == 'test':
        arguments.insert(1, 'epoch_20.pth')
    monkeypatch.setattr(Runner, 'from_cfg', from_cfg)
    monkeypatch.setattr(sys, 'argv', [f'{tool}.py', *arguments])
    monkeypatch.setenv('LOCAL_RANK', '0')
    runpy.run_path(str(MMDET / 'tools' / f'{tool}.py'), run_name='__main__')

    (config,) = taken
    assert config.model == parsed(path).model
