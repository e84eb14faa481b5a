"""A model finds its weights behind any prefix, and takes no part of itself for one."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.model import BaseTTAModel
from mmengine.runner import load_checkpoint
from torch import nn

import ge_det.registry  # noqa: F401  What importing any part of ge_det for MMEngine does.
from ge_det.cli.screen import quiet_screen
from ge_det.reading.model_names import name_for_model

PREFIXES = ['module', '_orig_mod', 'model', 'teacher', 'student', 'ema', 'net', 'detector', 'a']


class Versioned(nn.Linear):
    """What some heads of mmdet's are: another version's weights would be renamed."""

    _version = 2

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *more):
        assert local_metadata['version'] == 2
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *more)


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
        self.adapter = nn.ModuleDict(dict(module=nn.Linear(1, 1)))  # As mmpretrain calls a part.
        self.bbox_head = Versioned(2, 2)

    def forward(self, x):
        return self.backbone(x)


@functools.cache
def names():
    return tuple(Detector().state_dict())


def wrapped(model, prefixes):
    for name in reversed(prefixes):
        model = nn.ModuleDict({name: model})
    return model


def loads(path, model, source):
    load_checkpoint(model, path, map_location='cpu', strict=True)
    plain = {name.replace('_orig_mod.', ''): value for name, value in model.state_dict().items()}
    for name, value in source.state_dict().items():
        torch.testing.assert_close(plain[name], value, rtol=0, atol=0)


@settings(deadline=None, max_examples=50, database=None)
@given(
    before=st.lists(st.sampled_from(PREFIXES), max_size=4),
    wrappers=st.lists(st.sampled_from(['module', '_orig_mod']), max_size=2),
)
def test_any_prefixes_and_wrappers(before, wrappers):
    prefix = ''.join(f'{name}.' for name in before)
    inner = ''.join(f'{name}.' for name in wrappers)
    state = {prefix + name.replace('bbox_head.', f'bbox_head.{inner}'): name for name in names()}
    state[f'{prefix}n_averaged'] = 3
    found = name_for_model(state, names())
    assert found.state == {name: name for name in names()}


@pytest.mark.parametrize(
    ('first', 'second', 'prefix', 'others'),
    [
        ('student.', 'teacher.', 'student.', ('teacher.',)),
        ('ema.', 'net.', 'net.', ('ema.',)),
        ('', 'teacher.', '', ()),
        ('target.', 'backbone.', 'backbone.', ('target.',)),
        ('one.', 'two.', '', ('one.', 'two.')),
    ],
)
def test_of_several_networks(first, second, prefix, others):
    state = {f'{one}{name}': one for one in (first, second) for name in names()}
    found = name_for_model(state, names())
    assert (found.prefix, found.other_prefixes) == (prefix, others)
    if prefix:
        assert found.state == dict.fromkeys(names(), prefix)
    else:
        assert found.state == state


def test_a_part_of_the_model_is_no_prefix():
    """A semi-supervised training has both networks, a tracker its detector under a name."""
    for model in (
        nn.ModuleDict(dict(student=Detector(), teacher=Detector())),
        nn.ModuleDict(dict(detector=Detector())),
    ):
        state = model.state_dict()
        found = name_for_model(state, state)
        assert found.prefix == '' and list(found.state) == list(state)


def test_what_is_beside_the_model_is_left_over():
    state = {f'model.{name}': 1 for name in names()} | {'loss.weight': 2}
    assert name_for_model(state, names()).state.keys() == {*names(), 'loss.weight'}


def test_of_half_a_model_nothing_is_taken():
    state = {f'model.{name}': 1 for name in names()[: len(names()) // 2]}
    assert name_for_model(state, names()).state == state


@pytest.mark.parametrize('before', [[], ['teacher'], ['module', 'ema', 'module']])
def test_mmengine_loads_weights_and_versions(before, tmp_path):
    source = Detector()
    torch.save(dict(state_dict=wrapped(source, before).state_dict()), tmp_path / 'a.pth')
    loads(str(tmp_path / 'a.pth'), Detector(), source)
    compiled = Detector()
    compiled.backbone = torch.compile(compiled.backbone)
    loads(str(tmp_path / 'a.pth'), compiled, source)


@pytest.mark.parametrize(
    ('names', 'told'),
    [
        (['teacher'], "weights under 'teacher' are taken"),
        (
            ['teacher', 'student'],
            "of several sets of weights in it, 'student' was taken, not 'teacher'",
        ),
    ],
)
def test_the_screen_says_what_was_taken(names, told, tmp_path, capsys):
    state = nn.ModuleDict({name: Detector() for name in names}).state_dict()
    torch.save(state, tmp_path / 'a.pth')
    with quiet_screen():
        load_checkpoint(Detector(), str(tmp_path / 'a.pth'))
    assert f'warning: the checkpoint: {told}\n' in capsys.readouterr().out


class Flipped(BaseTTAModel):
    def merge_preds(self, data_samples_list):
        return data_samples_list


def test_mmengine_loads_into_a_wrapped_model(tmp_path):
    source, model = Detector(), Detector()
    torch.save(wrapped(source, ['teacher']).state_dict(), tmp_path / 'a.pth')
    tta = Flipped.__new__(Flipped)
    nn.Module.__init__(tta)
    tta.module = model
    load_checkpoint(tta, str(tmp_path / 'a.pth'), strict=True)
    loads(str(tmp_path / 'a.pth'), model, source)
