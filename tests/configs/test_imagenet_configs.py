"""Every ImageNet config is there, is what its name and comment say, builds, and learns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mmpretrain
import pytest
import torch
from coco_matrix import BLOCK, UNITS, parsed
from coco_matrix import Case as CocoCase
from test_coco_recipe import changes, comment
from torch import nn

from ge_det.cli.preflight import build_without_memory

IMAGENET = Path(__file__).parents[2] / 'configs' / 'imagenet'
BASE = Path(mmpretrain.__file__).parent / '.mim/configs/resnet/resnet50_8xb32_in1k.py'

# Parameters that learn, the classifier's among them, as counted in the authors' files.
PLAIN = {50: 25_557_032, 101: 44_549_160}
ADDED = {
    'baseline': {50: 0, 101: 0},
    'se': {50: 2_530_992, 101: 4_777_712},
    'ge-theta-minus': {50: 0, 101: 0},
    'ge-theta-minus-e8': {50: 0, 101: 0},
    'ge-theta': {50: 5_549_568, 101: 8_996_352},
    'ge-theta-e8': {50: 498_432, 101: 1_072_896},
    'ge-theta-plus': {50: 8_080_560, 101: 13_774_064},
    'ge-theta-plus-e8': {50: 3_029_424, 101: 5_850_608},
    'sge': {50: 2_048, 101: 4_224},
    'sp-se': {50: 2_923_696, 101: 5_623_024},
    'rg-se': {50: 2_655_408, 101: 5_006_576},
}


@dataclass(frozen=True)
class Case:
    """One cell of the matrix."""

    block: str
    depth: int

    @property
    def path(self) -> Path:
        block = '' if self.block == 'baseline' else f'-{self.block}'
        return IMAGENET / self.block / f'resnet{self.depth}{block}_8xb32_in1k.py'


CASES = [Case(block, depth) for block in BLOCK for depth in (50, 101)]
every_config = pytest.mark.parametrize('case', CASES, ids=lambda case: case.path.stem)


@pytest.fixture(scope='module')
def models(peers: None) -> Iterator[None]:
    """What `mmpretrain.models` needs, and one thread: maps this small are not worth sharing."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_matrix_is_complete() -> None:
    assert len(CASES) == 22
    assert set(IMAGENET.rglob('*.py')) == {case.path for case in CASES}


def test_the_readme_links_every_config_with_its_parameters() -> None:
    text = (IMAGENET / 'README.md').read_text(encoding='utf-8')
    links = re.findall(r'\[R(\d+)\]\(([^)]+\.py)\), ([\d,]+)', text)
    assert sorted(links) == sorted(
        (
            str(case.depth),
            str(case.path.relative_to(IMAGENET)),
            f'{PLAIN[case.depth] + ADDED[case.block][case.depth]:,}',
        )
        for case in CASES
    )
    for file in re.findall(r'\s(configs/\S+\.py)', text):
        assert (IMAGENET.parents[1] / file).is_file(), file


def test_the_baseline_changes_nothing_but_the_backbone() -> None:
    config = parsed(Case('baseline', 50).path)
    assert changes(parsed(BASE), config) == {
        'model.backbone.type': 'ge_det.AttentionResNet',
        'model.backbone.norm_eval': False,
        'model.backbone.zero_init_residual': False,
    }
    assert config.default_scope == 'mmpretrain'
    assert 'custom_imports' not in config


@pytest.mark.parametrize('block', [block for block in BLOCK if block != 'baseline'])
def test_a_block_changes_nothing_but_the_attention(block: str) -> None:
    expected = {f'model.backbone.attention.{k}': v for k, v in BLOCK[block][1].items()}
    baseline, config = parsed(Case('baseline', 50).path), parsed(Case(block, 50).path)
    assert changes(baseline, config) == expected


@pytest.mark.parametrize('block', BLOCK)
def test_resnet_101_changes_nothing_but_the_depth(block: str) -> None:
    shallow, deep = (parsed(Case(block, depth).path) for depth in (50, 101))
    assert changes(shallow, deep) == {'model.backbone.depth': 101}


def test_the_recipe_is_the_authors() -> None:
    config = parsed(Case('baseline', 50).path)
    steps = config.param_scheduler
    assert (steps.type, steps.by_epoch, steps.gamma) == ('MultiStepLR', True, 0.1)
    assert steps.milestones == [30, 60, 90]
    assert config.train_cfg.max_epochs == 100
    assert config.train_dataloader.batch_size * 8 == config.auto_scale_lr.base_batch_size == 256
    assert not config.auto_scale_lr.get('enable')
    # No paramwise_cfg: the weight decay holds for every parameter.
    wrapper = config.optim_wrapper.to_dict()
    wrapper.pop('_scope_', None)
    wrapper['optimizer'].pop('_scope_', None)
    assert wrapper == dict(
        optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.0001),
    )
    crop, flip = config.train_dataloader.dataset.pipeline[1:3]
    assert (crop.type, crop.scale) == ('RandomResizedCrop', 224)
    assert (flip.type, flip.prob) == ('RandomFlip', 0.5)
    assert config.model.head.loss.type == 'CrossEntropyLoss'
    assert 'label_smooth_val' not in config.model.head.loss


def test_pictures_are_normalised_as_in_detection() -> None:
    classifier = parsed(Case('baseline', 50).path).data_preprocessor
    detector = parsed(CocoCase('faster-rcnn', 50, 'baseline').path).model.data_preprocessor
    assert (classifier.mean, classifier.std) == (detector.mean, detector.std)
    assert classifier.to_rgb == detector.bgr_to_rgb


@every_config
def test_comment_says_what_the_config_holds(case: Case) -> None:
    if case.block == 'baseline':
        scope = ('every block, and the recipe of all', 'the blocks at this depth')[case.depth > 50]
        first = f'A plain ResNet-{case.depth} on ImageNet: the baseline of {scope}.'
    else:
        title = BLOCK[case.block][0]
        first = f'ResNet-{case.depth} with {title} in every residual unit, on ImageNet.'
    second = '100 epochs, drops at 30, 60 and 90, lr 0.1 for 256 images.'
    assert comment(case.path)[:2] == [first, second]


@pytest.mark.usefixtures('models')
@every_config
def test_parameters_are_the_authors(case: Case) -> None:
    model = build_without_memory(str(case.path))
    learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert learning == PLAIN[case.depth] + ADDED[case.block][case.depth]
    gates = model.backbone.gates()
    assert len(gates) == (0 if case.block == 'baseline' else UNITS[case.depth])
    attention = BLOCK[case.block][1]
    assert {type(gate).__name__ for gate in gates.values()} == (
        {attention['type'].removeprefix('ge_det.')} if attention else set()
    )


@pytest.mark.usefixtures('models')
def test_the_plain_backbone_starts_as_mmpretrains_does() -> None:
    from mmengine.registry import DefaultScope
    from mmpretrain.registry import MODELS

    backbones = []
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        for path in (BASE, Case('baseline', 50).path):
            options = {**parsed(path).model.backbone, 'zero_init_residual': False}
            torch.manual_seed(0)
            backbone = MODELS.build(options)
            backbone.init_weights()
            backbones.append(backbone)
    theirs, ours = (backbone.state_dict() for backbone in backbones)
    assert list(theirs) == list(ours)
    assert all(torch.equal(theirs[key], ours[key]) for key in theirs)
    # In training every batch normalisation sees its batch, and nothing is frozen.
    backbones[1].train()
    norms = [m for m in backbones[1].modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.training for norm in norms)
    assert all(p.requires_grad for p in backbones[1].parameters())


@pytest.mark.usefixtures('models')
@pytest.mark.parametrize('block', BLOCK)
def test_one_loss_and_one_predict(block: str) -> None:
    from mmengine.registry import DefaultScope
    from mmpretrain.registry import MODELS
    from mmpretrain.structures import DataSample

    config = parsed(Case(block, 50).path)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build({**config.model, 'data_preprocessor': config.data_preprocessor})
    model.init_weights()
    pictures = [torch.randint(256, (3, 64, 64), dtype=torch.uint8) for _ in range(2)]
    samples = [DataSample().set_gt_label(label) for label in (3, 999)]
    batch = dict(inputs=pictures, data_samples=samples)

    loss, logged = model.parse_losses(
        model(**model.data_preprocessor(batch, training=True), mode='loss')
    )
    loss.backward()
    assert torch.isfinite(logged['loss'])
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
    for name, gate in model.backbone.gates().items():
        own = list(gate.parameters())
        assert not own or any(p.grad.any() for p in own), f'no gradient reaches {name}'

    model.eval()
    with torch.no_grad():
        results = model(**model.data_preprocessor(batch, training=False), mode='predict')
    assert [tuple(result.pred_score.shape) for result in results] == [(1000,), (1000,)]
