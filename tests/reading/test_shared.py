"""What a pickle names many times, hides or nests comes to what it would if nothing were shared."""

import re

import hostile
import pytest
import torch
from hostile import called, mapping, named, text, whole

from ge_det.errors import CheckpointError
from ge_det.reading.load import load_file

ITSELF = b']q\x01h\x01a'
BUFFER = 'mmengine.logging.history_buffer.HistoryBuffer'


def kept(value, number):
    return value + b'q' + bytes([number])


def listed(*items):
    return b'](' + b''.join(items) + b'e'


def log_array(number):
    """Of 1 MB, whose bytes are in the file once."""
    long = hostile.array(hostile.dtype('u1', '|'), (1_000_000,), 'a' * 1_000_000)
    return kept(long, number)


PICKLES = {
    'items-hidden-by-a-class': (
        called('collections.OrderedDict')
        + text('a')
        + ITSELF
        + b's'
        + mapping(items=named('collections.OrderedDict'))
        + b'b',
        'contains itself',
    ),
    'counter-of-a-list-in-itself': (
        called('collections.Counter', mapping(a=ITSELF)),
        'contains itself',
    ),
    'counter-of-a-class': (
        called('collections.Counter', mapping(a=named('torch.Size'))),
        'holds an object of',
    ),
    'deep-by-sharing': (
        listed(
            kept(listed(b'N'), 2),
            *(kept(b'](' * 55 + b'h\x02' + b'e' * 55, 2) for _ in range(20)),
        ),
        'more than 64 deep',
    ),
    'array-named-often': (listed(log_array(2), b'h\x02' * 100), 'unfold to 101 MB'),
    'tensor-named-often': (
        listed(kept(hostile.tensor((1 << 20,), (0,)), 2), b'h\x02' * 30),
        'unfold to 130 MB',
    ),
    'log-buffers-of-one-array': (
        listed(
            log_array(2),
            kept(mapping(max_length=whole(1 << 20)), 3)
            + mapping(_log_history=b'h\x02', _count_history=b'h\x02')[1:],
            (named(BUFFER) + b')\x81h\x03b') * 50,
        ),
        'unfold to',
    ),
    'key-named-often': (
        listed(
            kept(text('k' * 1_000_000), 2),
            *(b'}h\x02Ns' for _ in range(100)),
        ),
        'unfold to 101 MB',
    ),
}


@pytest.mark.parametrize('name', PICKLES)
def test_it_is_refused_in_one_line(name, tmp_path):
    body, reason = PICKLES[name]
    path = hostile.archive(tmp_path / 'a.pth', hostile.state_dict(x=body))
    with pytest.raises(CheckpointError) as caught:
        load_file(path)
    assert re.search(reason, str(caught.value)) and '\n' not in str(caught.value)


def test_honest_sharing_loads(tmp_path):
    weight = torch.ones(1 << 20)
    state = {f'heads.{level}.weight': weight for level in range(8)}
    note = ['text'] * 100
    torch.save(dict(state_dict=state, ema=state, meta=[note] * 100), tmp_path / 'a.pth')
    content = load_file(tmp_path / 'a.pth')
    assert len({tensor.data_ptr() for tensor in content['ema'].values()}) == 1
    assert content['meta'] == [note] * 100
