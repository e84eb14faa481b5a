"""Detectors of other attention start from the same weights, those of ``load_from`` included."""

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tiny_detector import tiny_detector


class Started(Exception):
    """The first iteration is about to begin."""


class StopAtStart(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        raise Started


def first_weights(config, attention, folder, seed=3):
    config = config.copy()
    config.merge_from_dict(
        {
            'model.backbone.attention': attention,
            'randomness.seed': seed,
            'default_hooks.paired_start': dict(type='ge_det.PairedStart'),
            'default_scope': 'mmdet',
            'log_level': 'ERROR',
            'work_dir': str(folder / f'{attention}-{seed}'),
            'experiment_name': f'{folder.name}-{attention}-{seed}-{config.get("load_from")}',
        }
    )
    runner = Runner.from_cfg(config)
    runner.register_hook(StopAtStart())
    with pytest.raises(Started):
        runner.train()
    return {name: value.clone() for name, value in runner.model.state_dict().items()}


def test_all_but_the_gates_are_those_of_the_plain_network(tmp_path):
    config = tiny_detector(tmp_path / 'data', epochs=1)
    config.model.backbone.base_channels = 16
    config.model.neck.in_channels = [16, 32, 64, 128]
    plain, other = (first_weights(config, name, tmp_path) for name in ('none', 'se'))
    assert plain.keys() < other.keys()
    assert all('.se_layer.' in name for name in other.keys() - plain.keys())
    assert all(torch.equal(value, other[name]) for name, value in plain.items())
    head = 'roi_head.bbox_head.fc_cls.weight'
    assert not torch.equal(first_weights(config, 'none', tmp_path, seed=4)[head], plain[head])

    # Weights to start from that lack a head, as those of other classes do.
    loaded = {name: value + 1 for name, value in plain.items() if 'bbox_head.fc_' not in name}
    config.load_from = str(tmp_path / 'start.pth')
    torch.save(dict(state_dict=loaded, meta={}), config.load_from)
    plain, other = (first_weights(config, name, tmp_path) for name in ('none', 'se'))
    assert all(torch.equal(value, plain[name]) for name, value in loaded.items())
    assert head not in loaded and plain[head].std() > 0
    assert all(torch.equal(value, other[name]) for name, value in plain.items())
