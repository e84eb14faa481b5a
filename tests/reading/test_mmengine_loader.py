"""Nothing out of a checkpoint is run or removed by MMEngine, at any of its ways in."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from file_server import served
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner, checkpoint, load_checkpoint
from mmengine.runner.checkpoint import _load_checkpoint
from tiny_detector import NARROW_RETINANET
from torch import nn
from torch.utils.data import DataLoader, Dataset

import ge_det.registry  # noqa: F401  What importing any part of ge_det for MMEngine does.
from ge_det.cli.openmmlab import find_script
from ge_det.errors import CheckpointError
from ge_det.reading.load import load_file
from ge_det.reading.mmengine_loader import _forced_safe
from ge_det.weights.publishing import publish


class Network(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        return dict(loss=self.layer(inputs).square().mean())


class Noise(Dataset):
    metainfo = dict(classes=('cat', 'dog'))

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return dict(inputs=torch.ones(2) * index)


def runner(work_dir, epochs=1, load_from=None, resume=False):
    return Runner(
        Network(),
        work_dir=str(work_dir),
        train_dataloader=DataLoader(Noise()),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='Adam')),
        param_scheduler=dict(type='MultiStepLR', milestones=[1]),
        custom_hooks=[dict(type='EMAHook')],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1)),
        load_from=load_from,
        resume=resume,
        experiment_name=f'{Path(work_dir).name}-{epochs}',
        cfg=dict(default_scope='mmengine'),
    )


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    runner(folder).train()
    return folder / 'epoch_1.pth'


def config(trace):
    """The text of a config that makes a folder if it is read by anything but the eye."""
    return f'import os\nos.mkdir({str(trace)!r})\n_base_ = []\nmodel = dict(type="Network")\n'


KEYS = {
    'config': lambda content, text: content['meta'].update(config=text),
    'cfg': lambda content, text: content['meta'].update(cfg=text),
    'hub': lambda content, text: content['message_hub']['runtime_info'].update(cfg=text),
    'all': lambda content, text: (
        content['meta'].update(dict.fromkeys((*content['meta'], 'config', 'hook_msgs'), text)),
        content['meta'].update(epoch=1, iter=2, seed=3, dataset_meta=dict(classes=text)),
        content['message_hub']['runtime_info'].update(cfg=text, config=text),
    ),
}


@pytest.fixture(params=KEYS)
def tampered(request, trained, tmp_path):
    """A checkpoint with such a text in it, and what the text would make."""
    content = load_file(trained)
    KEYS[request.param](content, config(tmp_path / 'trace'))
    path = tmp_path / 'tampered.pth'
    torch.save(content, path)
    (tmp_path / 'last_checkpoint').write_text(str(path))
    return path, tmp_path / 'trace'


def test_no_text_in_a_checkpoint_is_run(tampered):
    path, trace = tampered
    resumed = runner(path.parent, 2, resume=True)
    resumed.train()
    assert (resumed.epoch, resumed.iter) == (2, 4)
    started = runner(path.parent / 'start', load_from=str(path))
    started.train()
    for read in (CheckpointLoader.load_checkpoint, _load_checkpoint, checkpoint.load_from_http):
        content = read(str(path))
        assert not {'cfg', 'config'} & set(content['meta'])
        assert not {'cfg', 'config'} & set(content['message_hub']['runtime_info'])
    load_checkpoint(Network(), str(path))
    made = publish(str(path), str(path.parent / 'published'))
    load_checkpoint(Network(), str(made.path))
    assert not trace.exists()


def test_an_inferencer_does_not_take_its_config_from_the_weights(tampered):
    from mmdet.apis import DetInferencer

    path, trace = tampered
    with pytest.raises(ValueError, match='Cannot find the config'):
        DetInferencer(weights=str(path), device='cpu', show_progress=False)
    assert not trace.exists()


def test_a_resumed_training_is_the_same(trained, tmp_path):
    whole = runner(tmp_path / 'whole', 3)
    whole.train()
    runner(tmp_path / 'parts', 2).train()
    parts = runner(tmp_path / 'parts', 3, resume=True)
    parts.train()
    for one, other in zip(
        load_file(tmp_path / 'whole' / 'epoch_3.pth')['ema_state_dict'].values(),
        load_file(tmp_path / 'parts' / 'epoch_3.pth')['ema_state_dict'].values(),
        strict=True,
    ):
        assert one.shape == other.shape
    loss = parts.message_hub.log_scalars['train/loss']
    assert len(loss.data[0]) == 6
    assert [file.name for file in (tmp_path / 'parts').glob('*.pth')] == ['epoch_3.pth']


def test_a_checkpoint_names_only_files_beside_itself(trained, tmp_path):
    content = load_file(trained)
    (tmp_path / 'mine.txt').touch()
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'best_epoch_1.pth').touch()
    (tmp_path / 'run' / 'notes.txt').touch()
    info = content['message_hub']['runtime_info']
    info.update(
        best_ckpt=str(tmp_path / 'mine.txt'),
        best_ckpt_mAP='/elsewhere/best_epoch_1.pth',
        best_ckpt_AR='notes.txt',
        keep_ckpt_ids=['/../../mine', 1],
    )
    torch.save(content, tmp_path / 'run' / 'a.pth')
    hub = CheckpointLoader.load_checkpoint(str(tmp_path / 'run' / 'a.pth'))['message_hub']
    assert not {'best_ckpt', 'best_ckpt_AR', 'keep_ckpt_ids'} & set(hub['runtime_info'])
    assert hub['runtime_info']['best_ckpt_mAP'] == str(tmp_path / 'run' / 'best_epoch_1.pth')
    assert set(hub['resumed_keys']) >= {'train/loss', 'epoch', 'iter'}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(meta=[1]), 'its meta is list'),
        (dict(meta='epoch'), 'its meta is str'),
        (dict(meta=dict(epoch='1', iter=2)), "its epoch is '1'"),
        (dict(meta=dict(epoch=1, iter=-2)), 'its iter is -2'),
        (dict(meta=dict(epoch=1, iter=2, seed=[1])), r'its seed is \[1\]'),
        (dict(message_hub=None), 'its message_hub is NoneType'),
        (dict(message_hub=dict(log_scalars=[])), 'its log_scalars is list'),
        (dict(message_hub=dict(runtime_info=1)), 'its runtime_info is int'),
        (dict(state_dict={'layer.weight': torch.tensor([float('nan')])}), 'holds NaN'),
        (dict(optimizer=[1]), 'its optimizer is list'),
        (dict(ema_state_dict=1), 'its ema_state_dict is int'),
        (dict(state_dict=[1]), 'its state_dict is list'),
    ],
)
def test_another_form_than_mmengines_is_one_line(change, message, trained, tmp_path):
    torch.save({**load_file(trained), **change}, tmp_path / 'epoch_1.pth')
    with pytest.raises(CheckpointError, match=message) as caught:
        CheckpointLoader.load_checkpoint(str(tmp_path / 'epoch_1.pth'))
    assert '\n' not in str(caught.value)


@pytest.fixture
def schemes():
    """Those of MMEngine come back after the test."""
    before = CheckpointLoader._schemes.copy()
    yield
    CheckpointLoader._schemes = before


@pytest.mark.parametrize('prefix', ['bucket://', 's3://', 'https://', ''])
def test_schemes_of_others_are_read_safely_and_without_configs(prefix, trained, tmp_path, schemes):
    """Also those that are registered after ours, in place of ours or of MMEngine's."""
    content = load_file(trained)
    content['meta']['config'] = config(tmp_path / 'trace')
    torch.save(dict(meta=content['meta'], state_dict=content['state_dict']), tmp_path / 'a.pth')
    torch.save(dict(meta=torch.nn.Linear(1, 1)), tmp_path / 'code.pth')

    @CheckpointLoader.register_scheme(prefix, force=True)
    def load_from_bucket(filename, map_location=None):
        return torch.load(tmp_path / filename.removeprefix(prefix), weights_only=False)

    assert 'config' not in CheckpointLoader.load_checkpoint(f'{prefix}a.pth')['meta']
    with pytest.raises(Exception, match='Weights only load failed'):
        CheckpointLoader.load_checkpoint(f'{prefix}code.pth')


def test_schemes_of_others_need_a_torch_without_the_known_fault(monkeypatch, schemes):
    CheckpointLoader.register_scheme('bucket://', lambda filename, map_location=None: {})
    monkeypatch.setattr(torch, '__version__', '2.9.1')
    with pytest.raises(CheckpointError, match='CVE-2026-24747'):
        CheckpointLoader.load_checkpoint('bucket://a.pth')


def test_two_threads_do_not_end_each_others_safety(monkeypatch):
    monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', raising=False)
    seen = []

    def stay(seconds):
        with _forced_safe():
            time.sleep(seconds)
            seen.append(os.environ.get('TORCH_FORCE_WEIGHTS_ONLY_LOAD'))

    threads = [threading.Thread(target=stay, args=[seconds]) for seconds in (0.05, 0.3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ['1', '1'] and 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' not in os.environ


def test_a_bare_state_dict_keeps_the_versions_of_its_modules(tmp_path):
    state = nn.BatchNorm1d(2).state_dict()
    torch.save(state, tmp_path / 'a.pth')
    read = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'))
    assert read._metadata == state._metadata and list(read) == list(state)


def test_urls_go_the_same_way(trained, tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    content = load_file(trained)
    content['meta']['config'] = config(tmp_path / 'trace')
    torch.save(content, tmp_path / 'a.pth')
    with served(tmp_path) as url:
        assert 'config' not in CheckpointLoader.load_checkpoint(f'{url}/a.pth')['meta']


DATA = """
data = dict(type='CocoDataset', data_root={folder!r}, ann_file='train.json',
            data_prefix=dict(img=''), metainfo=dict(classes=('a', 'b')),
            pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
                      dict(type='PackDetInputs')])
train_dataloader = dict(_delete_=True, batch_size=1, num_workers=0, dataset=data,
                        sampler=dict(type='DefaultSampler', shuffle=True))
val_cfg = val_dataloader = val_evaluator = None
test_cfg = test_dataloader = test_evaluator = None
train_cfg = dict(max_epochs=1)
"""


def test_mmdets_own_tool_runs_no_text_either(tmp_path):
    """One subprocess, for mmdet's own script and ours differ only in what they check before."""
    import json

    import numpy as np
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from PIL import Image

    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / 'a.png')
    (tmp_path / 'train.json').write_text(json.dumps(dict(
        images=[dict(id=1, file_name='a.png', width=64, height=64)],
        annotations=[dict(id=1, image_id=1, category_id=1, bbox=[8, 8, 32, 32], area=1024,
                          iscrowd=0)],
        categories=[dict(id=1, name='a'), dict(id=2, name='b')],
    )))  # fmt: skip
    data = DATA.replace('{folder!r}', repr(str(tmp_path)))
    (tmp_path / 'c.py').write_text(NARROW_RETINANET + data)
    cfg = Config.fromfile(tmp_path / 'c.py')
    state = MODELS.build(dict(cfg.model, _scope_='mmdet')).state_dict()
    text = config(tmp_path / 'trace')
    meta = dict(epoch=1, iter=1, config=text, cfg=text, seed=0)
    hub = dict(log_scalars={}, runtime_info=dict(cfg=text), resumed_keys=dict(cfg=True))
    torch.save(dict(state_dict=state, meta=meta, message_hub=hub), tmp_path / 'a.pth')
    done = subprocess.run(
        [sys.executable, find_script('train'), 'c.py', '--resume', 'a.pth'],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert 'resumed epoch: 1' in done.stdout + done.stderr, done.stderr[-3000:]
    assert not (tmp_path / 'trace').exists()
