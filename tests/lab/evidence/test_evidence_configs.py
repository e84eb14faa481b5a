"""The classifier of the evidence builds, fits its data and fits the detector."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from coco_matrix import parsed
from mmengine.registry import DefaultScope

from ge_det import AttentionResNet
from ge_det.cli.preflight import build_without_memory
from ge_det.datasets import ContextShapes
from lab.evidence.scene_folders import SCENE_SHAPE_CLASSES, write_scene_folders

CONFIGS = Path(__file__).parents[3] / 'lab/configs'
CLASSIFIER = CONFIGS / 'resnet50-narrow_context-scenes.py'
DETECTOR = CONFIGS / 'faster-rcnn_r50-narrow_context-shapes.py'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def test_the_classes_are_those_of_the_data() -> None:
    config = parsed(CLASSIFIER)
    assert config.model.head.num_classes == config.data_preprocessor.num_classes == 10
    for loader in LOADERS:
        assert tuple(config[loader].dataset.metainfo.classes) == SCENE_SHAPE_CLASSES


def test_only_flips_change_a_picture() -> None:
    config = parsed(CLASSIFIER)
    steps = {loader: [s.type for s in config[loader].dataset.pipeline] for loader in LOADERS}
    ends = ['LoadImageFromFile', 'PackInputs']
    assert steps['train_dataloader'] == [ends[0], 'RandomFlip', 'RandomFlip', ends[1]]
    assert steps['val_dataloader'] == steps['test_dataloader'] == ends


@pytest.mark.usefixtures('peers')
def test_the_backbone_is_the_narrow_one_of_the_detector() -> None:
    model = build_without_memory(str(CLASSIFIER))
    own = {key: value.shape for key, value in model.backbone.state_dict().items()}
    narrow = AttentionResNet(depth=50, base_channels=16).state_dict()
    assert own == {key: value.shape for key, value in narrow.items()}
    detector = build_without_memory(str(DETECTOR)).backbone.state_dict()
    assert own == {key: value.shape for key, value in detector.items()}
    # From scratch: nothing is frozen, and batch normalisation sees its batch.
    assert all(parameter.requires_grad for parameter in model.parameters())
    model.train()
    assert model.backbone.norm1.training


@pytest.mark.usefixtures('peers')
def test_a_block_is_chosen_from_the_command_line() -> None:
    options = {'model.backbone.attention.type': 'ge_det.SqueezeExcite'}
    gates = build_without_memory(str(CLASSIFIER), options).backbone.gates()
    assert {type(gate).__name__ for gate in gates.values()} == {'SqueezeExcite'}
    assert len(gates) == 16


@pytest.mark.usefixtures('peers')
def test_the_training_runs_on_written_pictures(tmp_path: Path) -> None:
    from mmengine.runner import Runner
    from mmpretrain.registry import MODELS

    shapes = ContextShapes(
        image_size=(128, 128), objects=(1, 1), size_shares=(1, 0, 0), cue_clearance=24
    )
    write_scene_folders(shapes, tmp_path, 20, 1, progress=False)
    config = parsed(CLASSIFIER).copy()
    config.train_dataloader.dataset.data_root = str(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build({**config.model, 'data_preprocessor': config.data_preprocessor})
        batch = next(iter(Runner.build_dataloader(config.train_dataloader, seed=0)))
    data = model.data_preprocessor(batch, training=True)
    assert data['inputs'].shape == (16, 3, 128, 128)
    loss = model(**data, mode='loss')['loss']
    loss.backward()
    torch.set_num_threads(threads)
    assert torch.isfinite(loss)
    assert all(parameter.grad is not None for parameter in model.parameters())
