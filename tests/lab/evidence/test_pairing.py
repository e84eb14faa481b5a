"""Cells of one seed start from the same weights and see the same data, whatever their attention."""

import copy

import pytest
import torch
from matrix_case import write_matrix
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner, set_random_seed

from ge_det.hooks.paired_start import pair_weights
from ge_det.registry import MODELS
from lab.evidence.matrix.config import config_text
from lab.evidence.matrix.matrix import Matrix
from lab.evidence.run.checks import draw_data
from lab.evidence.run.workspace import Workspace

BLOCKS = ['none', 'se', 'ge-theta-minus', 'ge-theta-plus-e8', 'sge', 'rg-se']


class Recorder(Hook):
    """Keeps what a training sees and starts from."""

    def __init__(self):
        self.pictures, self.weights = [], None

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if self.weights is None:
            self.weights = {k: v.clone() for k, v in runner.model.state_dict().items()}
        for inputs, sample in zip(data_batch['inputs'], data_batch['data_samples'], strict=True):
            boxes = sample.gt_instances.bboxes.tensor.tolist()
            self.pictures.append((sample.img_path, sample.flip, boxes, int(inputs.sum())))


@pytest.fixture
def space(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    schedule = {'train_cfg.max_epochs': 2, 'train_dataloader.batch_size': 4}
    schedule['train_cfg.val_interval'] = 9
    matrix = write_matrix(tmp_path, attention=BLOCKS, seeds=[0, 1], schedules={'s': schedule})
    space = Workspace(Matrix.read(matrix), tmp_path / 'runs')
    draw_data(space)
    return space


def train(run):
    run.folder.mkdir(parents=True)
    (run.folder / 'cell.py').write_text(config_text(run.config))
    config = Config.fromfile(str(run.folder / 'cell.py'))
    config.work_dir = str(run.folder)
    config.log_level = 'ERROR'
    config.default_scope = 'mmdet'
    config.experiment_name = run.name
    recorder = Recorder()
    runner = Runner.from_cfg(config)
    runner.register_hook(recorder)
    runner.train()
    return recorder


def test_two_blocks_train_on_the_same_pictures_from_the_same_weights(space):
    plain, plus = space.runs[0], space.runs[3]
    assert plus.key.attention == 'ge-theta-plus-e8'
    other = next(run for run in space.runs if run.key == plain.key._replace(seed=1))
    one, two, three = (train(run) for run in (plain, plus, other))
    assert len(one.pictures) == 16
    assert one.pictures == two.pictures
    flips = [flip for _, flip, _, _ in one.pictures]
    assert True in flips and False in flips
    assert flips[:8] != flips[8:]  # An epoch has draws of its own.
    assert all(torch.equal(value, two.weights[name]) for name, value in one.weights.items())
    assert one.pictures != three.pictures
    assert not torch.equal(
        one.weights['backbone.conv1.weight'], three.weights['backbone.conv1.weight']
    )


def first_weights(config, seed=0):
    set_random_seed(seed)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(config)
    model.init_weights()
    copied = pair_weights(model, config, seed)
    return model, copied


def test_every_block_has_the_trunk_and_the_heads_of_the_plain_network(space):
    configs = [run.config.model for run in space.runs[: len(BLOCKS)]]
    plain, _ = first_weights(configs[0])
    for config in configs[1:]:
        model, copied = first_weights(config)
        assert set(copied) == set(plain.state_dict())
        state = model.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in plain.state_dict().items())
        gates = model.backbone.gates()
        assert {name.split('.')[0] for name in set(state) - set(copied)} <= {'backbone'}
        assert all(any(g in name for g in gates) for name in set(state) - set(copied))


def test_a_pretrained_trunk_is_left_alone(space, tmp_path):
    config = copy.deepcopy(space.runs[1].config.model)
    with DefaultScope.overwrite_default_scope('mmdet'):
        source = MODELS.build(copy.deepcopy(config)).backbone
    torch.save(source.state_dict(), tmp_path / 'weights.pth')
    config.backbone.pretrained = dict(source='ge_det', checkpoint=str(tmp_path / 'weights.pth'))
    model, copied = first_weights(config)
    assert not any(name.startswith('backbone.') for name in copied)
    assert any(name.startswith('neck.') for name in copied)
    assert torch.equal(model.backbone.conv1.weight, source.conv1.weight)
