"""The COCO matrix: every config is there, is what its name and comment say, trains and predicts."""

from __future__ import annotations

import copy
import functools
import re
import runpy
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mmdet
import pytest
import torch
from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from ge_det.registry import MODELS as BLOCKS

COCO = Path(__file__).parents[2] / 'configs' / 'coco'
MMDET = Path(mmdet.__file__).parent / '.mim'

GE = 'ge_det.GatherExcite'
# Folder of a block: what its configs' comments call it, and the backbone's `attention`.
BLOCK = {
    'baseline': (None, None),
    'se': ('SE', dict(type='ge_det.SqueezeExcite')),
    'ge-theta-minus': (
        'GE theta-minus (global)',
        dict(type=GE, variant='theta_minus', extent='global'),
    ),
    'ge-theta-minus-e8': (
        'GE theta-minus (extent 8)',
        dict(type=GE, variant='theta_minus', extent=8),
    ),
    'ge-theta': ('GE theta (global)', dict(type=GE, variant='theta', extent='global')),
    'ge-theta-e8': ('GE theta (extent 8)', dict(type=GE, variant='theta', extent=8)),
    'ge-theta-plus': (
        'GE theta-plus (global)',
        dict(type=GE, variant='theta_plus', extent='global'),
    ),
    'ge-theta-plus-e8': (
        'GE theta-plus (extent 8)',
        dict(type=GE, variant='theta_plus', extent=8),
    ),
    'sge': ('SGE', dict(type='ge_det.SpatialGroupEnhance')),
    'sp-se': ('SP-SE', dict(type='ge_det.SpatialPyramidSE')),
    'rg-se': ('RG-SE', dict(type='ge_det.ResolutionGuidedSE')),
}
# Blocks whose gates normalise one value an image.
ONE_VALUE_AN_IMAGE = ('ge-theta', 'ge-theta-plus', 'sp-se', 'rg-se')
DEEP = ('baseline', 'se', 'sge', 'ge-theta-e8')

HOST = 'https://download.openmmlab.com/mmclassification/v0/'
WEIGHTS = {
    ('plain', 50): HOST + 'resnet/resnet50_8xb32_in1k_20210831-ea4938fc.pth',
    ('plain', 101): HOST + 'resnet/resnet101_8xb32_in1k_20210831-539c63f8.pth',
    ('se', 50): HOST + 'se-resnet/se-resnet50_batch256_imagenet_20200804-ae206104.pth',
    ('se', 101): HOST + 'se-resnet/se-resnet101_batch256_imagenet_20200804-ba5b51d4.pth',
}
UNITS = {50: 16, 101: 33}

# Changes to mmdet's base that all detectors share, as dotted keys; a key that goes is None.
SHARED_CHANGES = {
    'model.backbone.type': 'ge_det.AttentionResNet',
    'model.backbone.init_cfg': None,
    'model.backbone.init_cfg.type': None,
    'model.backbone.init_cfg.checkpoint': None,
    'model.backbone.pretrained.checkpoint': WEIGHTS['plain', 50],
    'optim_wrapper.clip_grad.max_norm': 35,
    'optim_wrapper.clip_grad.norm_type': 2,
    'param_scheduler.0.start_factor': 1 / 3,
}
SMOOTH_L1_RPN = {
    'model.rpn_head.loss_bbox.type': 'SmoothL1Loss',
    'model.rpn_head.loss_bbox.beta': 1 / 9,
}
SMOOTH_L1_RCNN = {
    'model.roi_head.bbox_head.loss_bbox.type': 'SmoothL1Loss',
    'model.roi_head.bbox_head.loss_bbox.beta': 1.0,
}
ROI_ALIGN = {'model.roi_head.bbox_roi_extractor.roi_layer.sampling_ratio': 2}


@dataclass(frozen=True)
class Detector:
    """What a detector's configs must hold, whatever their block."""

    type: str
    title: str
    schedule: str
    epochs: int
    drops: tuple[int, int]
    lr: float
    # Where box losses are smooth L1, with their beta; dotted keys under `model`.
    betas: dict[str, float]
    roi_layers: tuple[str, ...]
    # What the baseline changes in mmdet's base, beside SHARED_CHANGES.
    changes: dict[str, Any]


RPN_BETA = {'rpn_head.loss_bbox': 1 / 9}
DETECTORS = {
    'faster-rcnn': Detector(
        type='FasterRCNN',
        title='Faster R-CNN',
        schedule='2x',
        epochs=24,
        drops=(16, 22),
        lr=0.02,
        betas={**RPN_BETA, 'roi_head.bbox_head.loss_bbox': 1.0},
        roi_layers=('bbox_roi_extractor',),
        changes={**SMOOTH_L1_RPN, **SMOOTH_L1_RCNN, **ROI_ALIGN},
    ),
    'mask-rcnn': Detector(
        type='MaskRCNN',
        title='Mask R-CNN',
        schedule='2x',
        epochs=24,
        drops=(16, 22),
        lr=0.02,
        betas={**RPN_BETA, 'roi_head.bbox_head.loss_bbox': 1.0},
        roi_layers=('bbox_roi_extractor', 'mask_roi_extractor'),
        changes={
            **SMOOTH_L1_RPN,
            **SMOOTH_L1_RCNN,
            **ROI_ALIGN,
            'model.roi_head.mask_roi_extractor.roi_layer.sampling_ratio': 2,
        },
    ),
    'cascade-rcnn': Detector(
        type='CascadeRCNN',
        title='Cascade R-CNN',
        schedule='20e',
        epochs=20,
        drops=(16, 19),
        lr=0.02,
        betas={**RPN_BETA, **{f'roi_head.bbox_head.{i}.loss_bbox': 1.0 for i in range(3)}},
        roi_layers=('bbox_roi_extractor',),
        changes=ROI_ALIGN,
    ),
    'retinanet': Detector(
        type='RetinaNet',
        title='RetinaNet',
        schedule='2x',
        epochs=24,
        drops=(16, 22),
        lr=0.01,
        betas={'bbox_head.loss_bbox': 0.11},
        roi_layers=(),
        changes={
            'model.bbox_head.loss_bbox.type': 'SmoothL1Loss',
            'model.bbox_head.loss_bbox.beta': 0.11,
        },
    ),
}


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    detector: str
    depth: int
    block: str

    @property
    def path(self) -> Path:
        backbone = f'r{self.depth}' + ('' if self.block == 'baseline' else f'-{self.block}')
        schedule = DETECTORS[self.detector].schedule
        return COCO / self.block / f'{self.detector}_{backbone}_fpn_{schedule}_coco.py'

    @property
    def weights(self) -> str:
        return WEIGHTS['se' if self.block == 'se' else 'plain', self.depth]


R50 = [Case(detector, 50, block) for detector in DETECTORS for block in BLOCK]
R101 = [Case(detector, 101, block) for detector in DETECTORS for block in DEEP]

every_config = pytest.mark.parametrize('case', R50 + R101, ids=lambda case: case.path.stem)
r50_configs = pytest.mark.parametrize('case', R50, ids=lambda case: case.path.stem)
r101_configs = pytest.mark.parametrize('case', R101, ids=lambda case: case.path.stem)
block_configs = pytest.mark.parametrize(
    'case', [case for case in R50 if case.block != 'baseline'], ids=lambda case: case.path.stem
)
every_detector = pytest.mark.parametrize('name', DETECTORS)


@functools.cache
def parsed(path: Path) -> Config:
    """A config as mmdet's tools read it; not to be changed."""
    return Config.fromfile(path)


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


def gates(module: nn.Module, block: str) -> list[nn.Module]:
    """The attention blocks inside a module."""
    attention = BLOCK[block][1]
    kind = BLOCKS.get(attention['type']) if attention else ()
    return [child for child in module.modules() if isinstance(child, kind)]


def build(case: Case, pretrained: dict | None) -> nn.Module:
    """A case's detector, with other weights than the download, and with few proposals."""
    model = copy.deepcopy(parsed(case.path).model)
    model.backbone.pretrained = pretrained
    train, test = model.train_cfg, model.test_cfg
    # An untrained detector is sure of nothing: no threshold on its scores.
    if 'rpn' in test:
        for stage in train.rcnn if isinstance(train.rcnn, list) else [train.rcnn]:
            stage.sampler.num = 16
        train.rpn_proposal.max_per_img = test.rpn.max_per_img = 20
        test.rcnn.update(score_thr=0.0, max_per_img=5)
    else:
        test.update(nms_pre=20, score_thr=0.0, max_per_img=5)
    return MODELS.build(model)


@r101_configs
def test_r101_builds(case: Case) -> None:
    with torch.device('meta'):
        model = build(case, pretrained=None)
    assert len(model.backbone.layer3) == 23
    expected = 0 if case.block == 'baseline' else UNITS[101]
    assert len(gates(model.backbone, case.block)) == expected


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Maps this small are not worth sharing: threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Stand-ins for mmpretrain's files: the same keys, a random trunk that is no identity."""
    folder = tmp_path_factory.mktemp('weights')
    torch.manual_seed(0)
    backbones = {
        'plain': ResNet(50),
        'se': BLOCKS.build(dict(type='ge_det.AttentionResNet', depth=50, attention=BLOCK['se'][1])),
    }
    for name, backbone in backbones.items():
        state = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
        torch.save(dict(state_dict=state), folder / f'{name}.pth')
    return {name: str(folder / f'{name}.pth') for name in backbones}


@pytest.mark.usefixtures('one_thread')
@r50_configs
def test_one_loss_and_one_predict(case: Case, checkpoints: dict[str, str]) -> None:
    torch.manual_seed(0)
    weights = checkpoints['se' if case.block == 'se' else 'plain']
    pretrained = {**parsed(case.path).model.backbone.pretrained, 'checkpoint': weights}
    model = build(case, pretrained)
    model.init_weights()
    masks = case.detector == 'mask-rcnn'
    # The second image is narrower, so it is padded as in any batch of COCO.
    shapes = [(3, 64, 96), (3, 64, 80)]
    batch = demo_mm_inputs(
        2, image_shapes=shapes, num_items=[3, 2], num_classes=80, with_mask=masks
    )
    blocks = gates(model.backbone, case.block)
    assert len(blocks) == (0 if case.block == 'baseline' else UNITS[50])

    model.train()
    data = model.data_preprocessor(copy.deepcopy(batch), training=True)
    assert data['inputs'].shape == (2, 3, 64, 96)
    loss, logged = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert all(torch.isfinite(value).all() for value in logged.values()), logged
    assert any('mask' in name for name in logged) == masks
    parameters = [p for gate in gates(model.backbone.layer4, case.block) for p in gate.parameters()]
    assert bool(parameters) == (case.block != 'baseline' and 'minus' not in case.block)
    if parameters:
        gradients = [p.grad for p in parameters if p.grad is not None]
        assert all(torch.isfinite(gradient).all() for gradient in gradients)
        assert any(gradient.any() for gradient in gradients), 'no gradient reaches the last gates'

    model.eval()
    with torch.no_grad():
        results = model(**model.data_preprocessor(batch, training=False), mode='predict')
    assert len(results) == 2
    for result, (_, height, width) in zip(results, shapes, strict=True):
        found = result.pred_instances
        boxes = found.bboxes * found.bboxes.new_tensor(result.scale_factor).repeat(2)
        limit = boxes.new_tensor([width, height, width, height]) + 0.01
        assert 0 < len(found) <= 5
        assert ((boxes >= 0) & (boxes <= limit)).all()
        assert ((found.scores >= 0) & (found.scores <= 1)).all()
        assert ((found.labels >= 0) & (found.labels < 80)).all()
        assert ('masks' in found) == masks
        if masks:
            assert found.masks.shape == (len(found), height, width)
