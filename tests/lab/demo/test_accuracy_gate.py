"""A short training reaches an AP that it does not reach with a broken gate, import or sampler.

SE is attached to the demo's plain detector and trained on, on pictures whose every object takes its
name from marks beyond the field of view. The import leaves the AP at about 50, a guess between two
names, and without a gate that learns it stays there.
"""

from dataclasses import replace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from lab.demo.detectors import GATED, ROOT, SHAPES, group_ap, quiet, read_config

CONTEXT_ALONE = replace(SHAPES, context_share=1.0, objects=(3, 5))
IMPORTED, TRAINED = 0.45, 0.9


class FirstTest(Hook):
    """Tests the detector before it trains."""

    def before_train(self, runner):
        self.ap = group_ap(runner.val_loop.run())
        runner.model.train()


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)  # The config names weights from there.
    CONTEXT_ALONE.write(tmp_path / 'data', train=640, val=60, progress=False)
    config = read_config(GATED, tmp_path / 'data', epochs=4)
    config.train_cfg.val_interval = 4
    config.param_scheduler = [
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=20),
        dict(type='MultiStepLR', by_epoch=False, milestones=[260], gamma=0.1),
    ]
    config.optim_wrapper.paramwise_cfg.custom_keys.se_layer.lr_mult = 8
    config.work_dir = str(tmp_path / 'run')
    return config


def test_a_short_training_reaches_its_accuracy(config):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with quiet():
            runner, first = Runner.from_cfg(config), FirstTest()
            runner.register_hook(first)
            runner.train()
            ap = group_ap(runner.val())
    finally:
        torch.set_num_threads(threads)
    assert first.ap['context classes'] > IMPORTED
    assert ap['context classes'] > TRAINED
