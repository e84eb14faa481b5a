"""Reading checkpoints: safe, strict, and one clear line when something is wrong."""

import os
import pickle

import pytest
import torch
from file_server import served

from ge_det import AttentionResNet
from ge_det.errors import CheckpointError
from ge_det.weights.backbone_part import split_backbone
from ge_det.weights.checkpoint import read_state_dict

SE = dict(type='ge_det.SqueezeExcite')


def state(depth=50, attention=None):
    return AttentionResNet(depth, attention=attention, base_channels=16).state_dict()


def imported(path, depth=50, attention=None, **options):
    backbone = AttentionResNet(
        depth,
        attention=attention,
        base_channels=16,
        pretrained=dict(checkpoint=str(path), **options),
    )
    backbone.init_weights()
    return backbone


def save(content, tmp_path, name='weights.pth'):
    torch.save(content, tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize(
    'wrap',
    [
        lambda s: s,
        lambda s: dict(state_dict=s, meta=dict(epoch=3)),
        lambda s: dict(model=s),
        lambda s: dict(state_dict={f'backbone.{k}': v for k, v in s.items()}),
        lambda s: dict(state_dict={f'module.{k}': v for k, v in s.items()}, acc=77.5),
        lambda s: {**s, 'fc.weight': torch.ones(10, 512), 'fc.bias': torch.ones(10)},
        lambda s: dict(
            state_dict={
                **{f'backbone.{k}': v for k, v in s.items()},
                'neck.conv.weight': torch.ones(1),
            }
        ),
    ],
    ids=['plain', 'mmengine', 'timm', 'detector', 'data-parallel', 'torchvision', 'with-neck'],
)
def test_layouts(wrap, tmp_path):
    weights = state()
    backbone = imported(save(wrap(weights), tmp_path))
    for key, value in backbone.state_dict().items():
        torch.testing.assert_close(value, weights[key])


def test_prefix_is_stripped():
    state = {'module.backbone.a': 1, 'module.head.b': 2}
    part = split_backbone(state)
    assert (part.own, part.others) == ({'a': 1}, {'head.b': 2})


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: state(34), '.*another shape|missing'),
        (
            lambda: state(101),
            'left over, the first .layer3.6.*file holds a ResNet-101, this backbone is a ResNet-50',
        ),
        (lambda: AttentionResNet(50).state_dict(), 'another shape.*base_channels'),
        (lambda: state(50, SE), 'left over, .*se_layer.*gates of another kind'),
        (lambda: {'encoder.w': torch.ones(1)}, "none of its 1 name .*'encoder.w'"),
        (lambda: {k: v for k, v in state().items() if 'layer4' not in k}, 'are missing'),
    ],
    ids=['shallower', 'deeper', 'wider', 'foreign-gates', 'foreign', 'cut'],
)
def test_a_trunk_that_does_not_fit_is_an_error(make, message, tmp_path):
    path = save(make(), tmp_path)
    with pytest.raises(CheckpointError, match=message) as caught:
        imported(path)
    assert '\n' not in str(caught.value)
    if 'none of its' in message:
        with pytest.raises(CheckpointError, match=message):
            imported(path, strict=False)
    else:
        imported(path, strict=False)


def test_gates_of_another_ratio_stay_fresh_and_are_an_error(tmp_path):
    path = save(state(50, dict(SE, ratio=4)), tmp_path)
    with pytest.raises(CheckpointError, match='gates of another kind or size'):
        imported(path, attention=SE)


def test_counters_of_batch_normalisation_may_be_missing(tmp_path):
    weights = {k: v for k, v in state().items() if 'num_batches_tracked' not in k}
    imported(save(weights, tmp_path))


class Evil:
    def __reduce__(self):
        return os.mkdir, ('evil-was-here',)


@pytest.mark.parametrize(
    ('write', 'message'),
    [
        (lambda p: None, 'no such file'),
        (lambda p: p.write_bytes(b''), 'the file is empty'),
        (
            lambda p: p.write_text('<!DOCTYPE html><html>404</html>'),
            'not weights but a web page: download',
        ),
        (lambda p: p.write_text('<?xml version="1.0"?><Error>'), 'not weights but a web page'),
        (
            lambda p: p.write_text('version https://git-lfs.github.com/spec/v1'),
            'a git-lfs pointer: `git lfs pull`',
        ),
        (lambda p: torch.save(state(), p) or p.write_bytes(p.read_bytes()[:5000]), 'not a read'),
        (lambda p: torch.save([1, 2], p), 'holds list, not a state dict'),
        (lambda p: torch.save(dict(epoch=3), p), 'holds no weights'),
        (lambda p: torch.save(dict(state_dict=Evil()), p), r'could run code.*mkdir'),
        (lambda p: p.write_bytes(pickle.dumps(Evil())), r'could run code: it holds posix.mkdir'),
        (lambda p: p.write_bytes(pickle.dumps(Evil(), 0)), r'it holds posix.mkdir'),
        (lambda p: p.write_text('{"a": 1}'), 'of another format'),
        (lambda p: torch.save({'a': torch.eye(2).to_sparse()}, p), 'holds a sparse tensor'),
        (lambda p: p.mkdir(), 'not a readable checkpoint'),
        (lambda p: p.write_bytes(b'\x80\x02.'), 'not a readable checkpoint'),
        (lambda p: torch.save({0: torch.ones(1)}, p), 'holds no weights'),
    ],
    ids=[
        'missing',
        'empty',
        'html',
        'xml',
        'git-lfs',
        'cut',
        'list',
        'no-weights',
        'evil',
        'evil-pickle',
        'evil-old-pickle',
        'json',
        'sparse',
        'folder',
        'stub',
        'numbers',
    ],
)
def test_unreadable_files_give_one_line(write, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'weights.pth'
    write(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_state_dict(str(path))
    assert '\n' not in str(caught.value)
    assert str(path) in str(caught.value)
    assert not (tmp_path / 'evil-was-here').exists()


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    with served(tmp_path) as url:
        yield url


def test_url_is_downloaded_once_and_its_hash_is_checked(server, tmp_path):
    import hashlib

    path = save(state(), tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    good = path.rename(tmp_path / f'good-{digest}.pth')
    imported(f'{server}/{good.name}')
    good.unlink()
    imported(f'{server}/{good.name}')  # from the cache

    save(state(), tmp_path, 'bad-00000000.pth')
    with pytest.raises(CheckpointError, match='hash'):
        imported(f'{server}/bad-00000000.pth')
    with pytest.raises(CheckpointError, match='download failed'):
        imported(f'{server}/nothing.pth')


def test_files_of_one_name_from_two_places_are_two_files(server, tmp_path):
    for depth in (18, 34):
        (tmp_path / str(depth)).mkdir()
        save(state(depth), tmp_path / str(depth), 'best.pth')
        imported(f'{server}/{depth}/best.pth', depth)


def test_files_of_one_path_by_two_queries_are_two_files(server, tmp_path):
    for depth in (18, 34):
        save(state(depth), tmp_path, 'download')
        imported(f'{server}/download?depth={depth}', depth)


def test_a_cache_of_others_needs_no_writing(server, tmp_path):
    save(state(), tmp_path, 'weights.pth')
    imported(f'{server}/weights.pth')
    cache = tmp_path / 'cache' / 'hub' / 'checkpoints'
    for lock in cache.glob('*.lock'):
        lock.unlink()
    imported(f'{server}/weights.pth')
    assert not list(cache.glob('*.lock'))


@pytest.mark.parametrize('url', ['http://[bad/x.pth', 'http://127.0.0.1:9/a b.pth', 'http://h'])
def test_urls_that_are_none_give_one_line(url):
    with pytest.raises(CheckpointError) as caught:
        read_state_dict(url)
    assert url in str(caught.value) and '\n' not in str(caught.value)


def test_a_download_that_was_cut_off_is_fetched_again(server, tmp_path):
    whole = save(state(), tmp_path, 'weights.pth')
    content = whole.read_bytes()
    whole.write_bytes(content[:5000])
    with pytest.raises(CheckpointError, match='the download was removed, so try again'):
        imported(f'{server}/weights.pth')
    whole.write_bytes(content)
    imported(f'{server}/weights.pth')


def test_a_date_in_the_name_is_no_hash(server, tmp_path):
    save(state(), tmp_path, 'resnet-20210831.pth')
    imported(f'{server}/resnet-20210831.pth')


def test_offline_url_names_the_way_out():
    with pytest.raises(CheckpointError, match='fetch the file elsewhere and give its path'):
        read_state_dict('http://127.0.0.1:9/weights-12345678.pth')
