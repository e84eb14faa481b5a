"""Weights are found under whatever entries and names they lie, and of several it is said which."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from ge_det import AttentionResNet
from ge_det.errors import CheckpointError
from ge_det.reading.weight_sets import find_sets, plain_names
from ge_det.weights.backbone_part import split_backbone
from ge_det.weights.checkpoint import read_checkpoint
from ge_det.weights.importing import import_pretrained

ENTRIES = [
    'state_dict',
    'model',
    'model_state_dict',
    'net',
    'network',
    'weights',
    'params',
    'ema',
    'model_ema',
    'state_dict_ema',
    'ema_state_dict',
    'teacher',
    'student',
    'encoder',
    'backbone',
    'module',
    'checkpoint',
]
PREFIXES = [
    'module',
    '_orig_mod',
    'model',
    'backbone',
    'body',
    'timm_model',
    'encoder',
    'net',
    'student',
    'teacher',
    'detector',
    'trunk',
]


@functools.cache
def weights():
    torch.manual_seed(3)
    network = AttentionResNet(18, base_channels=4)
    network.init_weights()
    return {
        key: torch.rand_like(value) + 0.5 if value.is_floating_point() else value
        for key, value in network.state_dict().items()
    }


def under(prefix, state=None):
    return {prefix + key: value for key, value in (state or weights()).items()}


def save(content, folder, name='weights.pth'):
    torch.save(content, folder / name)
    return str(folder / name)


def imported(path, **options):
    backbone = AttentionResNet(18, base_channels=4)
    report = import_pretrained(backbone, path, **options)
    for key, value in backbone.state_dict().items():
        torch.testing.assert_close(value, weights()[key], rtol=0, atol=0)
    return report


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('finding')


@settings(deadline=None, max_examples=50, database=None)
@given(
    entries=st.lists(st.sampled_from(ENTRIES), max_size=3),
    prefixes=st.lists(st.sampled_from(PREFIXES), max_size=4),
    has_head=st.booleans(),
)
def test_any_entries_around_any_prefixes(entries, prefixes, has_head, folder):
    content = under(''.join(f'{name}.' for name in prefixes))
    if has_head:
        content['neck.conv.weight'] = torch.ones(1)
    for name in reversed(entries):
        content = {'epoch': 3, name: content, 'optimizer': {'state': {0: {'m': torch.ones(1)}}}}
    assert imported(save(content, folder)).trunk_share == 1.0


@pytest.mark.parametrize(
    'wrap',
    [
        lambda s: {f'layer1.module.{k[7:]}' if k.startswith('layer1.') else k: s[k] for k in s},
        lambda s: {k.replace('.0.conv1', '.0._orig_mod.conv1'): s[k] for k in s},
        lambda s: {'n_averaged': torch.tensor(3), **under('module.', s)},
        lambda s: {'state_dict': {k: v.numpy() for k, v in s.items()}},
    ],
    ids=['a stage in parallel', 'a unit compiled', 'averaged', 'arrays'],
)
def test_wrappers_inside_and_around(wrap, tmp_path):
    imported(save(wrap(weights()), tmp_path))


@pytest.mark.parametrize('name', ['model.bin', 'model.pth', 'model.safetensors', 'model'])
def test_the_content_tells_a_format_and_not_the_name(name, tmp_path):
    save_file(weights(), tmp_path / name)
    imported(str(tmp_path / name))
    save(weights(), tmp_path, name)
    imported(str(tmp_path / name))


@pytest.mark.parametrize(
    'prefix',
    ['module._orig_mod.', '_orig_mod.', '_orig_mod.module.', 'model._orig_mod.', 'teacher.'],
)
def test_neck_and_heads_come_along_under_plain_names(prefix):
    detector = {
        **under(f'{prefix}backbone._orig_mod.'),
        f'{prefix}neck._orig_mod.lateral_convs.0.conv.weight': torch.ones(1),
        f'{prefix}bbox_head.module.fc_cls.bias': torch.ones(1),
    }
    part = split_backbone(detector)
    assert part.own.keys() == weights().keys()
    assert sorted(part.others) == ['bbox_head.fc_cls.bias', 'neck.lateral_convs.0.conv.weight']


def test_names_of_a_whole_model():
    assert plain_names({'a._orig_mod.b': 1, 'backbone.module.c': 2}) == {
        'a.b': 1,
        'backbone.module.c': 2,  # So mmpretrain's adapters call a part.
    }
    assert plain_names({'steps': 0, 'module.module.a': 1}) == {'a': 1}
    clash = {'a': 1, '_orig_mod.a': 2}
    assert plain_names(clash) == clash


@pytest.mark.parametrize(
    ('content', 'taken', 'others'),
    [
        (dict(ema=1, model=0), 'model', ['ema']),
        (dict(state_dict_ema=1, state_dict=0), 'state_dict', ['state_dict_ema']),
        (dict(ema=dict(module=1), model=0), 'model', ['ema.module']),
        (dict(teacher=1, network=2, model=0), 'model', ['network', 'teacher']),
        (dict(model_ema=0), 'model_ema', []),
    ],
)
def test_of_several_sets_it_is_said_which_was_taken(content, taken, others, tmp_path):
    def filled(value):
        if isinstance(value, dict):
            return {key: filled(one) for key, one in value.items()}
        return weights() if value == 0 else {k: v + value for k, v in weights().items()}

    path = save(filled(content), tmp_path)
    read = read_checkpoint(path)
    assert (read.key, read.other_keys) == (taken, others)
    notes = imported(path).notes
    for other in others:
        assert f"{taken!r} was taken; key='" in notes[0] and f'key={other!r}' in notes[0]
        different = AttentionResNet(18, base_channels=4)
        import_pretrained(different, path, key=other)
        assert not torch.equal(different.state_dict()['conv1.weight'], weights()['conv1.weight'])
    if not others:
        assert not any('was taken' in note for note in notes)


def test_of_several_networks_under_one_entry_it_is_said_which_was_taken(tmp_path):
    other = {key: value + 1 for key, value in weights().items()}
    path = save(under('student.backbone.') | under('teacher.backbone.', other), tmp_path)
    assert "'student.backbone' was taken; key='teacher' takes another" in imported(path).notes[0]
    backbone = AttentionResNet(18, base_channels=4)
    import_pretrained(backbone, path, key='teacher')
    assert torch.equal(backbone.state_dict()['conv1.weight'], other['conv1.weight'])
    with pytest.raises(CheckpointError, match="no weights under key='master'"):
        import_pretrained(backbone, path, key='master')


TREES = st.recursive(
    st.sampled_from([torch.ones(2), torch.tensor(1), 1.5, None, 'text', True, b'x']),
    lambda inner: (
        st.dictionaries(
            st.one_of(
                st.sampled_from([*ENTRIES, 'layer1.0.conv1.weight']), st.text(), st.integers()
            ),
            inner,
            max_size=4,
        )
        | st.lists(inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=50, database=None)
@given(TREES)
def test_any_other_content_is_one_line(folder, content):
    path = save(content, folder, 'other.pth')
    with pytest.raises(CheckpointError) as caught:
        import_pretrained(AttentionResNet(18, base_channels=4), path)
    assert '\n' not in str(caught.value)
    assert all(one.state for one in find_sets(content))
