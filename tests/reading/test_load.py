"""Honest files come back as they were, and reading them changes nothing else."""

import pickle
import subprocess
import sys
from collections import Counter, OrderedDict
from concurrent.futures import ThreadPoolExecutor

import hostile
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.logging import HistoryBuffer, MessageHub

from ge_det.reading.load import load_file
from ge_det.reading.stand_ins import only_stand_ins


def read_back(content, tmp_path, **options):
    torch.save(content, tmp_path / 'a.pth', **options)
    return load_file(tmp_path / 'a.pth')


@pytest.mark.parametrize('zipped', [True, False])
def test_what_mmengine_writes(tmp_path, zipped):
    hub = MessageHub('reading')
    for value in (1.5, 2.5):
        hub.update_scalar('loss', value)
    hub.update_info('scale', np.float32(2.5))
    hub.update_info('boxes', np.arange(6).reshape(2, 3).T)
    state = torch.nn.BatchNorm2d(3).state_dict()
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))])
    optimizer.param_groups[0]['params'][0].grad = torch.ones(3)
    optimizer.step()
    written = dict(
        state_dict=state,
        message_hub=hub.state_dict(),
        optimizer=optimizer.state_dict(),
        param_schedulers=[dict(milestones=Counter([3, 3]), _step_count=1)],
        meta=dict(dataset_meta=dict(classes=('a', 'b'), palette=[(1, 2, 3)]), seed=2**31),
        random=(3, tuple(range(625)), None, 2**127),
        others=[torch.Size([2]), torch.float16, torch.device('cpu'), {1, 'a'}, 1j, b'\xff', -0.5],
    )
    content = read_back(written, tmp_path, _use_new_zipfile_serialization=zipped)
    scalars, info = (content['message_hub'][part] for part in ('log_scalars', 'runtime_info'))
    assert type(scalars['loss']) is HistoryBuffer
    assert [scalars['loss'].statistics(name) for name in ('mean', 'max', 'min', 'current')] == [
        2.0, 2.5, 1.5, 2.5,
    ]  # fmt: skip
    scalars['loss'].update(4)
    assert type(info['scale']) is np.float32 and info['scale'] == 2.5
    assert info['boxes'].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert content['state_dict']._metadata == state._metadata
    assert type(content['state_dict']) is OrderedDict
    optimizer.load_state_dict(content['optimizer'])
    for name in ('param_schedulers', 'meta', 'random', 'others'):
        assert content[name] == written[name]


NUMBERS = st.sampled_from(['?', 'i1', 'u1', '<i2', '>i4', '<i8', 'u8', '<f2', '>f4', '<f8'])


@settings(deadline=None, max_examples=60)
@given(NUMBERS, st.lists(st.integers(0, 3), max_size=4), st.booleans(), st.booleans())
def test_any_plain_array_comes_back(tmp_path_factory, code, shape, transposed, one):
    array = np.random.default_rng(0).integers(0, 2, shape).astype(code)
    value = array.T if transposed else array
    value = value.reshape(-1)[0] if one and value.size else value
    written = pickle.dumps([value], 2)[2:-1].replace(b'numpy._core.', b'numpy.core.')
    for name in (b'numpy.core.', b'numpy._core.'):  # As numpy 1 and 2 write them.
        path = tmp_path_factory.getbasetemp() / 'arrays.pth'
        content = load_file(hostile.archive(path, written.replace(b'numpy.core.', name)))[0]
        np.testing.assert_array_equal(content, value)
        assert content.dtype == value.dtype.newbyteorder('=') and type(content) is type(value)


def test_tensors_of_every_kind(tmp_path):
    base = torch.arange(12.0).view(3, 4)
    tensors = dict(
        view=base[1:, ::2],
        transposed=base.T,
        scalar=torch.tensor(3),
        empty=torch.ones(0, 4),
        expanded=torch.ones(1).expand(100),
        parameter=torch.nn.Parameter(base),
        unsigned=torch.ones(2, dtype=torch.uint16),
        eight_bits=torch.ones(2).to(torch.float8_e4m3fn),
        half=torch.ones(2, dtype=torch.bfloat16),
        flags=torch.ones(2, dtype=torch.bool),
    )
    new = read_back(tensors, tmp_path)
    for name in ('unsigned', 'eight_bits'):  # Which old files cannot hold.
        assert new.pop(name).float().equal(tensors.pop(name).float())
    for content in (new, read_back(tensors, tmp_path, _use_new_zipfile_serialization=False)):
        assert isinstance(content['parameter'], torch.nn.Parameter)
        for name, tensor in tensors.items():
            assert content[name].dtype == tensor.dtype
            assert content[name].equal(tensor), name


def test_importing_ge_det_allows_nothing_in_the_process():
    code = (
        'import torch, ge_det.registry, ge_det.weights.importing, ge_det.cli.checks as checks;'
        'checks.load_safely();'
        'allowed = {one.__module__ for one in torch.serialization.get_safe_globals()};'
        'assert all(module.startswith("torch.") for module in allowed), allowed'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def test_what_others_allow_neither_takes_our_place_nor_is_lost(tmp_path):
    others = [np.dtype, np.ndarray, type(np.dtype('O'))]
    before = set(torch.serialization.get_safe_globals())
    torch.serialization.add_safe_globals(others)
    try:
        body, reason = hostile.PICKLES['array-state-of-objects']
        with pytest.raises(ValueError, match=reason):
            load_file(hostile.archive(tmp_path / 'a.pth', body))
        assert set(torch.serialization.get_safe_globals()) == before | set(others)
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(list(before))


def test_what_is_allowed_meanwhile_is_not_lost():
    before = set(torch.serialization.get_safe_globals())
    try:
        with only_stand_ins():
            torch.serialization.add_safe_globals([np.ndarray])
        assert set(torch.serialization.get_safe_globals()) == before | {np.ndarray}
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(list(before))


def test_two_threads_do_not_take_each_others_allowance(tmp_path):
    before = set(torch.serialization.get_safe_globals())
    torch.save([np.arange(3), HistoryBuffer([1.0], [1])], tmp_path / 'a.pth')
    with ThreadPoolExecutor(4) as pool:
        contents = list(pool.map(load_file, [tmp_path / 'a.pth'] * 40))
    assert all(content[0].tolist() == [0, 1, 2] for content in contents)
    assert set(torch.serialization.get_safe_globals()) == before


def test_the_allowance_ends_also_after_an_error():
    before = set(torch.serialization.get_safe_globals())
    with pytest.raises(KeyError), only_stand_ins():
        raise KeyError
    assert set(torch.serialization.get_safe_globals()) == before
