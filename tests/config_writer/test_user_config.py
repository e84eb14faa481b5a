"""The config for a user's own data: what it says, and that a detector is built from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ge_det.catalogue import DEPTHS, attention_config
from ge_det.config_writer.detectors import DETECTORS, Anchors
from ge_det.config_writer.options import UserConfig
from ge_det.config_writer.text import config_text, write_config
from ge_det.weights.imagenet import RESNET_URLS, SE_RESNET_URLS

SOUND = ('StopAtInvalidLoss', 'ResumableRandomness', 'ResumableCheckpoints')


def options(**changes: Any) -> UserConfig:
    return UserConfig(
        **{
            'train_json': 'train.json',
            'val_json': 'val.json',
            'train_images': 'images',
            'val_images': 'images',
            'classes': ('cat', 'dog', 'cow'),
            'num_images': 100,
            'epochs': 12,
            **changes,
        }
    )


def load(tmp_path: Path, **changes: Any) -> Any:
    config = pytest.importorskip('mmengine.config').Config
    pytest.importorskip('mmdet')
    return config.fromfile(write_config(options(**changes), tmp_path / 'my.py'))


def test_attention_names() -> None:
    assert attention_config('none') is None
    assert attention_config('se') == {'type': 'ge_det.SqueezeExcite'}
    assert attention_config('ge-theta-plus-e8') == {
        'type': 'ge_det.GatherExcite',
        'variant': 'theta_plus',
        'extent': 8,
    }
    assert attention_config('ge-theta-minus')['extent'] == 'global'
    with pytest.raises(ValueError, match=r"attention 'cbam': no such block; `ge-det blocks`"):
        attention_config('cbam')


def test_the_table_cannot_be_changed_through_a_result() -> None:
    attention_config('sge')['groups'] = 8
    assert attention_config('sge') == {'type': 'ge_det.SpatialGroupEnhance'}


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'detector': 'yolo'}, "detector 'yolo' is unknown: choose from faster-rcnn"),
        ({'attention': 'cbam'}, "attention 'cbam': no such block"),
        ({'depth': 20}, 'depth 20 is unknown: choose from 18, 34'),
        ({'classes': ()}, 'classes must not be empty'),
        ({'base_channels': 24}, 'base_channels 24 must be a multiple of 16'),
        ({'base_channels': 0}, 'base_channels 0 must be a multiple of 16'),
        ({'epochs': 0}, 'epochs 0 must be a number greater than 0'),
        ({'batch_size': 0}, 'batch_size 0 must be a number greater than 0'),
        ({'lr': -0.1}, 'lr -0.1 must be a number greater than 0'),
        ({'lr': float('inf')}, 'lr inf must be a number greater than 0'),
        ({'scale': (0, 100)}, 'scale 0 must be a number greater than 0'),
        ({'workers': -1}, 'workers must not be below 0'),
    ],
)
def test_values_that_are_not_allowed(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        options(**changes)


@pytest.mark.parametrize(
    ('num_images', 'epochs', 'warmup', 'milestones'),
    [
        (118_000, 12, 500, [8, 11]),
        (20, 48, 48, [32, 44]),
        (1000, 24, 500, [16, 22]),
        (8, 2, 2, [1]),
        (8, 1, 2, []),
    ],
)
def test_schedule_follows_from_the_data(
    num_images: int, epochs: int, warmup: int, milestones: list[int]
) -> None:
    chosen = options(num_images=num_images, epochs=epochs)
    assert chosen.warmup == warmup
    assert chosen.milestones == milestones


def test_learning_rate_is_scaled_to_the_batch() -> None:
    assert options(batch_size=16).learning_rate == 0.02
    assert options(batch_size=2).learning_rate == 0.0025
    assert options(batch_size=4, detector='retinanet').learning_rate == 0.0025
    assert options(lr=0.1).learning_rate == 0.1


def test_weights_to_start_from() -> None:
    assert options(attention='se').checkpoint == SE_RESNET_URLS[50]
    assert options(attention='se', depth=18).checkpoint == RESNET_URLS[18]
    assert options(attention='sge', depth=101).checkpoint == RESNET_URLS[101]
    assert options(base_channels=16).checkpoint is None
    assert options(pretrained='none').checkpoint is None
    assert options(pretrained='http://a/b.pth').checkpoint == 'http://a/b.pth'
    assert options(pretrained='b.pth').checkpoint == str(Path.cwd() / 'b.pth')
    assert RESNET_URLS.keys() == set(DEPTHS)


@pytest.mark.parametrize('detector', DETECTORS)
def test_config_of_every_detector(tmp_path: Path, detector: str) -> None:
    cfg = load(tmp_path, detector=detector, depth=18)
    model = cfg.model
    heads = model.bbox_head if detector == 'retinanet' else model.roi_head.bbox_head
    heads = heads if isinstance(heads, list) else [heads]
    assert [head.num_classes for head in heads] == [3] * (3 if 'cascade' in detector else 1)
    assert model.backbone.type == 'ge_det.AttentionResNet'
    assert model.backbone.init_cfg is None
    assert model.neck.in_channels == [64, 128, 256, 512]
    assert model.neck.out_channels == 256  # inherited
    metric = 'bbox'
    if detector == 'mask-rcnn':
        assert model.roi_head.mask_head.num_classes == 3
        metric = ['bbox', 'segm']
    assert cfg.val_evaluator.metric == cfg.test_evaluator.metric == metric
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.metainfo.classes == ('cat', 'dog', 'cow')
        assert loader.dataset.type == 'CocoDataset'
    assert cfg.train_dataloader.dataset.ann_file == str(Path.cwd() / 'train.json')
    assert cfg.train_dataloader.dataset.data_prefix.img == str(Path.cwd() / 'images')
    assert cfg.test_dataloader.dataset.ann_file == cfg.test_evaluator.ann_file
    assert cfg.train_cfg.type == 'EpochBasedTrainLoop'
    assert cfg.optim_wrapper.optimizer.type == 'SGD'
    assert cfg.auto_scale_lr.base_batch_size == cfg.train_dataloader.batch_size
    assert cfg.default_hooks.checkpoint.save_best == 'coco/bbox_mAP'
    hooks = {hook.type for hook in cfg.default_hooks.values()}
    assert hooks >= {f'ge_det.{name}' for name in SOUND}  # With mmdet's own tools, too.
    assert 'ge_det.WriteReport' in hooks
    kinds = [one.type for one in cfg.visualizer.vis_backends]
    assert kinds == ['LocalVisBackend', 'ge_det.TensorBoard']


def loss_of(cfg: Any, masks: bool) -> Any:
    from mmdet.registry import MODELS
    from mmdet.testing import demo_mm_inputs
    from mmdet.utils import register_all_modules

    register_all_modules()
    model = MODELS.build(cfg.model)
    batch = demo_mm_inputs(1, [[3, 64, 64]], num_classes=3, with_mask=masks)
    return model(**model.data_preprocessor(batch, True), mode='loss')


@pytest.mark.parametrize('detector', DETECTORS)
def test_every_small_detector_builds_and_has_a_loss(tmp_path: Path, detector: str) -> None:
    sizes: dict[str, Any] = dict(depth=18, base_channels=16, scale=(64, 64))
    anchors = Anchors((2.0,), (0.5, 1.0))
    cfg = load(tmp_path, small=True, detector=detector, anchors=anchors, **sizes)
    masks = DETECTORS[detector].masks
    losses = loss_of(cfg, masks)
    assert sum(value.sum() for values in losses.values() for value in _as_list(values)).isfinite()
    head = cfg.model.bbox_head if detector == 'retinanet' else cfg.model.rpn_head
    assert list(head.anchor_generator.ratios) == [0.5, 1.0] and head.feat_channels == 64
    assert cfg.model.neck.norm_cfg.type == ('GN' if detector == 'retinanet' else 'BN')
    assert cfg.optim_wrapper.optimizer.type == 'AdamW' and 'momentum' not in cfg.optim_wrapper
    assert cfg.param_scheduler[1].type == 'CosineAnnealingLR'


def test_a_promise_is_in_the_config(tmp_path: Path) -> None:
    cfg = load(tmp_path, minutes=29.31, epochs=12, val_interval=2)
    assert cfg.promised == dict(minutes=29.3, epochs=12)
    assert cfg.train_cfg.val_interval == 2


@pytest.mark.parametrize('detector', DETECTORS)
def test_every_detector_builds_and_has_a_loss(tmp_path: Path, detector: str) -> None:
    cfg = load(
        tmp_path,
        detector=detector,
        depth=18,
        base_channels=16,
        attention='ge-theta',
        scale=(64, 64),
    )
    cfg.model.neck.out_channels = 16
    for head in ('rpn_head', 'bbox_head'):
        if head in cfg.model:
            cfg.model[head].in_channels = cfg.model[head].feat_channels = 16
    for name, part in cfg.model.get('roi_head', {}).items():
        for item in part if isinstance(part, list) else [part]:
            if 'extractor' in name:
                item.out_channels = 16
            elif isinstance(item, dict) and 'in_channels' in item:
                item.in_channels = 16
    if 'rpn_proposal' in cfg.model.train_cfg:
        cfg.model.train_cfg.rpn_proposal.max_per_img = 20
    masks = DETECTORS[detector].masks
    losses = loss_of(cfg, masks)
    total = sum(value.sum() for values in losses.values() for value in _as_list(values))
    assert total.isfinite()
    assert any('mask' in name for name in losses) == masks


def _as_list(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def test_without_weights_nothing_is_frozen(tmp_path: Path) -> None:
    backbone = load(tmp_path, pretrained='none').model.backbone
    assert backbone.frozen_stages == -1 and backbone.norm_eval is False
    assert 'pretrained' not in backbone


def test_with_weights_mmdets_freezing_stays(tmp_path: Path) -> None:
    backbone = load(tmp_path).model.backbone
    assert backbone.frozen_stages == 1 and backbone.norm_eval is True
    assert backbone.pretrained == {'checkpoint': RESNET_URLS[50]}


def test_scale_reaches_both_pipelines(tmp_path: Path) -> None:
    cfg = load(tmp_path, scale=(96, 64), detector='mask-rcnn', workers=0)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        steps = {step.type: step for step in loader.dataset.pipeline}
        assert steps['Resize'].scale == (96, 64)
        assert steps['LoadAnnotations'].with_mask
        assert loader.persistent_workers is False  # torch refuses it without workers


def test_odd_class_names_and_paths_survive(tmp_path: Path) -> None:
    classes = ("l'été", 'a "b"', 'back\\slash')
    cfg = load(tmp_path, classes=classes, train_json="it's/tr.json")
    assert cfg.classes == classes
    assert cfg.train_dataloader.dataset.ann_file == str(Path.cwd() / "it's/tr.json")
    assert load(tmp_path / 'one', classes=('cat',)).classes == ('cat',)


def test_many_classes_are_wrapped_and_drawn_without_cocos_palette(tmp_path: Path) -> None:
    classes = tuple(f'class number {i}' for i in range(100))
    assert max(map(len, config_text(options(classes=classes)).splitlines())) < 180
    cfg = load(tmp_path, classes=classes)
    assert cfg.classes == classes
    assert cfg.train_dataloader.dataset.metainfo.palette is None


def test_the_text_stays_short() -> None:
    assert len(config_text(options()).splitlines()) < 80


def test_writing_refuses_what_it_should(tmp_path: Path) -> None:
    out = tmp_path / 'new' / 'my.py'
    write_config(options(), out)
    with pytest.raises(ValueError, match='exists already; --force'):
        write_config(options(), out)
    write_config(options(depth=18), out, force=True)
    assert 'depth=18' in out.read_text()
    with pytest.raises(ValueError, match=r'must end in \.py'):
        write_config(options(), tmp_path / 'my.json')
