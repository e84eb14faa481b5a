"""Published files: what is in them, where they load, and what is refused."""

import copy
import hashlib
import os
import resource
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner, load_checkpoint, save_checkpoint
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ge_det import AttentionResNet
from ge_det.errors import CheckpointError
from ge_det.reading.load import load_file
from ge_det.weights.checkpoint import read_checkpoint, read_state_dict
from ge_det.weights.publishing import publish

OPTIONS = dict(depth=18, base_channels=16, attention=dict(type='ge_det.SqueezeExcite'))


class Network(BaseModel):
    def __init__(self):
        super().__init__()
        self.backbone = AttentionResNet(**OPTIONS)
        self.head = nn.Linear(128, 2)

    def forward(self, inputs, mode='tensor'):
        scores = self.head(self.backbone(inputs)[-1].mean((2, 3)))
        return dict(loss=scores.square().mean()) if mode == 'loss' else scores


class Noise(Dataset):
    metainfo = dict(classes=('cat', 'dog'), palette=[(1, 2, 3), (4, 5, 6)], scale=np.float32(0.5))

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return dict(inputs=torch.randn(3, 32, 32))


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Runner and checkpoint of a real training, with averaged weights."""
    torch.manual_seed(0)
    runner = Runner(
        Network(),
        work_dir=str(tmp_path_factory.mktemp('run')),
        train_dataloader=DataLoader(Noise(), batch_size=2),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        param_scheduler=dict(type='MultiStepLR', milestones=[1]),
        custom_hooks=[dict(type='EMAHook')],
        cfg=dict(model=dict(type='Network'), default_scope='mmengine'),
        experiment_name='publishing',
    )
    runner.train()
    return runner, Path(runner.work_dir) / 'epoch_2.pth'


@pytest.fixture
def checkpoint(trained, tmp_path):
    """A copy of the trained checkpoint, alone in its folder."""
    path = tmp_path / 'epoch_2.pth'
    path.write_bytes(trained[1].read_bytes())
    return path


def load(path):
    return load_file(path)


def assert_same(state, other):
    assert list(state) == list(other)
    for key, value in state.items():
        assert torch.equal(value, other[key]), key


def test_the_name_is_the_hash_and_the_training_stays_behind(checkpoint):
    made = publish(str(checkpoint))
    digest = hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert made.path == checkpoint.with_name(f'epoch_2-{digest[:8]}.pth')
    assert (made.sha256, made.is_new, made.has_config) == (digest, True, True)
    assert set(os.listdir(checkpoint.parent)) == {checkpoint.name, made.path.name}
    assert made.path.stat().st_mode == checkpoint.stat().st_mode  # others may read it

    before, content = load(checkpoint), load(made.path)
    assert {'optimizer', 'message_hub', 'param_schedulers', 'ema_state_dict'} <= set(before)
    assert set(content) == {'meta', 'state_dict'}
    assert_same(content['state_dict'], before['state_dict'])
    assert content['state_dict']._metadata == before['state_dict']._metadata
    assert made.tensors == len(before['state_dict'])
    assert (made.size_before, made.size) == (checkpoint.stat().st_size, made.path.stat().st_size)
    assert made.size < made.size_before / 2


def test_meta(checkpoint):
    before, meta = load(checkpoint)['meta'], load(publish(str(checkpoint)).path)['meta']
    assert meta['cfg'] == before['cfg']
    assert meta['dataset_meta'] == dict(Noise.metainfo, scale=0.5)
    assert type(meta['dataset_meta']['scale']) is float
    assert (meta['epoch'], meta['iter']) == (2, 2)
    assert meta['versions']['torch'].split('+')[0] == torch.__version__.split('+')[0]
    assert {'python', 'ge_det', 'mmengine', 'mmcv'} <= set(meta['versions'])
    assert {'time', 'seed', 'experiment_name'} & set(meta) == set()


def test_averaged_weights_are_published(trained, checkpoint):
    runner, _ = trained
    averaged = next(hook for hook in runner.hooks if isinstance(hook, EMAHook)).ema_model.module
    state = load(publish(str(checkpoint)).path)['state_dict']
    assert_same(state, averaged.state_dict())
    assert not torch.equal(state['head.weight'], runner.model.state_dict()['head.weight'])


def test_what_ge_det_noted_is_carried(checkpoint):
    content = load(checkpoint)
    content['meta']['ge_det'] = dict(fresh=['layer1.0.se_layer'], share=np.float64(0.5))
    save_checkpoint(content, str(checkpoint))
    meta = load(publish(str(checkpoint), backbone_only=True).path)['meta']
    assert meta['ge_det'] == dict(fresh=['layer1.0.se_layer'], share=0.5)


def test_it_loads_where_ge_det_is_not_imported(checkpoint):
    made = publish(str(checkpoint))
    code = (
        'import sys, torch; content = torch.load(sys.argv[1], weights_only=True);'
        "assert 'ge_det' not in sys.modules; print(len(content['state_dict']))"
    )
    command = [sys.executable, '-c', code, str(made.path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() == str(made.tensors), done.stderr


@pytest.mark.parametrize('backbone_only', [False, True])
def test_it_loads_by_every_way(checkpoint, backbone_only):
    path = str(publish(str(checkpoint), backbone_only=backbone_only).path)
    state = load(checkpoint)['state_dict']
    wanted = {k[9:]: v for k, v in state.items() if k.startswith('backbone.')}

    ours = AttentionResNet(**OPTIONS, pretrained=dict(checkpoint=path))
    init_cfg = dict(type='Pretrained', checkpoint=path, prefix='backbone.')
    mmengines = AttentionResNet(**OPTIONS, init_cfg=init_cfg)
    for backbone in (ours, mmengines):
        backbone.init_weights()
        assert_same(backbone.state_dict(), wanted)

    network = Network()
    load_checkpoint(network, path, strict=not backbone_only)
    assert_same(network.backbone.state_dict(), wanted)


def test_it_loads_into_the_runner(trained, checkpoint):
    runner, _ = trained
    state = copy.deepcopy(runner.model.state_dict())
    try:
        runner.load_checkpoint(str(publish(str(checkpoint)).path), strict=True)
        assert_same(runner.model.state_dict(), load(checkpoint)['state_dict'])
    finally:
        runner.model.load_state_dict(state)


def test_publishing_again_changes_nothing(checkpoint, tmp_path):
    made = publish(str(checkpoint))
    stamp = made.path.stat().st_mtime_ns
    again = publish(str(checkpoint))
    assert (again.path, again.is_new) == (made.path, False)
    assert made.path.stat().st_mtime_ns == stamp
    again = publish(str(made.path))
    assert (again.path, again.is_new) == (made.path, False)
    # Neither the process nor the name it is written under is in the file.
    code = 'import sys; from ge_det.weights.publishing import publish; publish(*sys.argv[1:])'
    out = tmp_path / 'other' / 'name.pth'
    subprocess.run([sys.executable, '-c', code, str(checkpoint), str(out)], check=True)
    assert os.listdir(tmp_path / 'other') == [f'name-{made.sha256[:8]}.pth']


def test_a_file_with_other_content_is_not_overwritten(checkpoint):
    path = publish(str(checkpoint)).path
    path.write_bytes(b'mine')
    with pytest.raises(CheckpointError, match='is there with other content; move it away'):
        publish(str(checkpoint))
    assert path.read_bytes() == b'mine'
    assert len(os.listdir(checkpoint.parent)) == 2


def test_backbone_only(checkpoint):
    made = publish(str(checkpoint), backbone_only=True)
    state = load(made.path)['state_dict']
    assert len(state) == made.tensors == len(AttentionResNet(**OPTIONS).state_dict())
    assert all(key.startswith('backbone.') for key in state)
    assert set(state._metadata) == {
        name
        for name in load(checkpoint)['state_dict']._metadata
        if name == '' or name.startswith('backbone')
    }


def test_data_parallel_names_and_shared_memory(tmp_path):
    shared = torch.randn(1000, 8)
    state = {'module.backbone.a': shared[:2], 'module.head.b': shared.t(), 'module.head.c': shared}
    hub = MessageHub('publishing')
    hub.update_scalar('loss', 1.5)
    path = str(tmp_path / 'weights.pth')
    save_checkpoint(dict(state_dict=state, message_hub=hub.state_dict()), path)
    made = publish(path, backbone_only=True)
    assert_same(load(made.path)['state_dict'], {'backbone.a': shared[:2]})
    assert made.size < 5000
    whole = load(publish(path).path)['state_dict']
    assert all(value.is_contiguous() for value in whole.values())
    assert_same(whole, {key[7:]: value for key, value in state.items()})


def test_tied_weights_are_stored_once(tmp_path):
    tied = torch.randn(100, 100)
    torch.save(dict(a=tied, b=tied), tmp_path / 'tied.pth')
    made = publish(str(tmp_path / 'tied.pth'))
    assert made.size < 1.5 * tied.nbytes
    assert made.tensors == 2
    assert not made.has_config


@pytest.mark.parametrize('new', [False, True])
def test_files_of_an_old_torch(tmp_path, new):
    path = tmp_path / 'old.pth'
    content = OrderedDict(a=torch.ones(2))
    torch.save(content, path, _use_new_zipfile_serialization=new)
    assert_same(read_state_dict(str(publish(str(path)).path)), content)


def test_a_full_disk_leaves_nothing(checkpoint):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(CheckpointError, match='cannot be written into .*File too large'):
            publish(str(checkpoint))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(checkpoint.parent) == [checkpoint.name]


def test_safetensors_give_the_importer_what_the_pth_gives(checkpoint, tmp_path):
    content = load(checkpoint)
    note = dict(
        gates={'layer1.0.se_layer': dict(block='SqueezeExcite', state='fresh')}, odd={1: ()}
    )
    content['meta']['ge_det'] = note
    content['state_dict']['head.tied'] = content['state_dict']['head.weight']
    save_checkpoint(content, str(checkpoint))
    pickled = read_checkpoint(str(publish(str(checkpoint)).path))
    made = publish(str(checkpoint), safetensors=True)
    assert made.path.name == f'epoch_2-{made.sha256[:8]}.safetensors'
    read = read_checkpoint(str(made.path))
    assert read.meta == pickled.meta and read.meta['ge_det'] == note
    assert read.versions == pickled.versions != {}
    assert_same(read.state, pickled.state)

    named = publish(str(checkpoint), str(tmp_path / 'shared.safetensors'))
    assert named.path.name == f'shared-{made.sha256[:8]}.safetensors'  # The same bytes.
    again = publish(str(made.path))
    assert again.path.suffix == '.pth'
    assert load(again.path)['meta'] == load(publish(str(checkpoint)).path)['meta']
    model = Network()
    model.head.tied = nn.Parameter(torch.zeros(2, 128))
    load_checkpoint(model, str(made.path), strict=True)
    assert torch.equal(model.head.tied, content['state_dict']['head.weight'])
