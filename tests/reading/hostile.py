"""Hostile files of weights, put together byte by byte: nothing here needs to be sound."""

import io
import pickle
import struct
import zipfile

import torch

END = b'.'


def text(value):
    raw = value.encode()
    return b'X' + struct.pack('<I', len(raw)) + raw


def whole(value):
    return b'\x8a' + bytes([len(raw := pickle.encode_long(value))]) + raw


def named(path):
    module, name = path.rsplit('.', 1)
    return b'c' + module.encode() + b'\n' + name.encode() + b'\n'


def many(*items):
    return b'(' + b''.join(items) + b't'


def called(path, *arguments):
    return named(path) + many(*arguments) + b'R'


def mapping(**items):
    return b'}(' + b''.join(text(key) + value for key, value in items.items()) + b'u'


def storage(key='0', numel=4, kind='torch.FloatStorage'):
    return many(text('storage'), named(kind), text(key), text('cpu'), whole(numel)) + b'Q'


def tensor(size=(4,), stride=(1,), offset=0, of=None, rebuild='torch._utils._rebuild_tensor_v2'):
    shape = [many(*map(whole, numbers)) for numbers in (size, stride)]
    hooks = named('collections.OrderedDict') + b')R'
    return called(rebuild, of or storage(), whole(offset), *shape, b'\x89', hooks)


def latin(content):
    return called('_codecs.encode', text(content), text('latin1'))


def dtype(code='f8', order='<', flags=0, last=-1):
    state = many(whole(3), text(order), b'N', b'N', b'N', whole(-1), whole(last), whole(flags))
    return called('numpy.dtype', text(code), b'\x89', b'\x88') + state + b'b'


def array(kind=None, shape=(1,), content='A' * 8):
    made = called(
        'numpy._core.multiarray._reconstruct', named('numpy.ndarray'), many(whole(0)), latin('b')
    )
    sizes = many(*map(whole, shape))
    return made + many(whole(1), sizes, kind or dtype(), b'\x89', latin(content)) + b'b'


def archive(path, body, members=None, compression=zipfile.ZIP_STORED):
    """A file as torch.save writes it, of one pickle and the storages."""
    members = {'data/0': bytes(16)} if members is None else members
    with zipfile.ZipFile(path, 'w', compression) as file:
        file.writestr('archive/data.pkl', b'\x80\x02' + body + END)
        file.writestr('archive/byteorder', 'little')
        for name, content in members.items():
            file.writestr(f'archive/{name}', content)
        file.writestr('archive/version', '3\n')
    return path


def state_dict(**extra):
    """A pickle of weights that load, with what else is given beside them."""
    return mapping(state_dict=mapping(weight=tensor()), **extra)


def saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


# By name: a pickle beside sound weights, and a part of the line that says why it is refused.
PICKLES = {
    'array-of-objects': (
        state_dict(log=called('numpy.ndarray', many(whole(1)), dtype('O'), latin('A' * 8))),
        'numpy',
    ),
    'array-state-of-objects': (state_dict(log=array(dtype('O'))), 'this kind'),
    'array-new-of-objects': (
        state_dict(log=named('numpy.ndarray') + many(many(whole(1)), text('O')) + b'\x81'),
        'log buffer',
    ),
    'dtype-of-objects-by-flags': (state_dict(log=array(dtype(flags=63))), 'not plain'),
    'dtype-by-alignment': (state_dict(log=array(dtype(last=64))), 'not plain'),
    'dtype-structured': (state_dict(log=array(dtype('V8'))), 'this kind'),
    'array-shorter-than-told': (state_dict(log=array(shape=(1000,))), 'these bytes'),
    'array-of-negative-size': (state_dict(log=array(shape=(-1, -1))), 'shape'),
    'array-huge': (state_dict(log=array(shape=(1 << 40, 1 << 20))), 'these bytes'),
    'scalar-of-objects': (
        state_dict(log=called('numpy.core.multiarray.scalar', dtype('O'), latin('A' * 8))),
        'this kind',
    ),
    'bytearray': (state_dict(x=called('builtins.bytearray', whole(6_000_000_000))), 'bytearray'),
    'tensor-class': (state_dict(x=called('torch.FloatTensor', whole(1 << 34))), 'FloatTensor'),
    'getattr': (
        state_dict(x=called('builtins.getattr', named('collections.Counter'), text('x'))),
        r'getattr\(collections.Counter',
    ),
    'codec-that-grows': (
        state_dict(x=called('_codecs.encode', text('a' * 99), text('punycode'))),
        '_codecs.encode',
    ),
    'expanded': (state_dict(x=tensor((1 << 30,), (0,))), 'unfold to 4295 MB'),
    'expanded-many': (state_dict(x=b'](' + 40 * tensor((1 << 20,), (0,)) + b'e'), 'unfold to'),
    'beyond-its-storage': (state_dict(x=tensor((5,))), 'beyond its storage'),
    'offset-beyond': (state_dict(x=tensor((1,), offset=4)), 'beyond its storage'),
    'negative-offset': (state_dict(x=tensor((1,), offset=-1)), 'no sound shape'),
    'negative-size': (state_dict(x=tensor((-1,))), 'no sound shape'),
    'negative-stride': (state_dict(x=tensor((2,), (-1,))), 'no sound shape'),
    'storage-larger-than-its-member': (
        state_dict(x=tensor((1,), of=storage(numel=1 << 40))),
        'size that is told',
    ),
    'storage-negative': (state_dict(x=tensor((1,), of=storage(numel=-4))), 'size that is told'),
    'storage-missing': (state_dict(x=tensor((1,), of=storage('7'))), 'size that is told'),
    'storage-of-two-types': (  # 17 GB of doubles, were the second one taken at its word.
        state_dict(
            x=b']('
            + tensor((2,), of=storage(numel=2, kind='torch.DoubleStorage'))
            + tensor((16,), of=storage(numel=16, kind='torch.ByteStorage'))
            + b'e'
        ),
        'of two types',
    ),
    'storage-outside': (state_dict(x=tensor((1,), of=storage('../version'))), 'size that is'),
    'wrapper-subclass': (
        state_dict(x=called('torch._utils._rebuild_wrapper_subclass')),
        '_rebuild_wrapper_subclass',
    ),
    'tensor-with-attributes': (
        state_dict(x=called('torch._tensor._rebuild_from_type_v2')),
        '_rebuild_from_type_v2',
    ),
    'sparse': (state_dict(x=called('torch._utils._rebuild_sparse_tensor')), 'a sparse tensor'),
    'state-of-a-tensor': (state_dict(x=tensor() + b'}b'), 'fills what is none'),
    'state-of-a-counter': (
        state_dict(x=called('collections.Counter') + b'}b'),
        'fills what is none',
    ),
    'method-hidden': (
        mapping(state_dict=called('collections.OrderedDict') + mapping(copy=whole(1)) + b'b'),
        'holds no weights',
    ),
    'items-of-a-tensor': (state_dict(x=tensor() + text('a') + text('b') + b's'), 'fills what'),
    'items-of-a-list': (state_dict(x=b']' + whole(1) + whole(1) + b's'), 'fills what'),
    'appended-to-a-tensor': (state_dict(x=tensor() + whole(1) + b'a'), 'fills what'),
    'key-deep': (state_dict(x=b'}' + b')' + b'\x85' * 100_000 + b'Ns'), 'deep'),
    'key-shared': (
        state_dict(x=b'}' + b')' + b''.join(b'q\x01h\x01\x86' for _ in range(30)) + b'Ns'),
        'values|key',
    ),
    'set-of-shared': (
        state_dict(x=called('builtins.set', b']' + many(many(b'N')) + b'a')),
        'key in it',
    ),
    'lists-deep': (state_dict(x=b']' * 5000 + b'a' * 4999), 'more than 64 deep'),
    'dicts-deep': (
        state_dict(x=(b'}' + text('a')) * 5000 + b'N' + b's' * 5000),
        'more than 64 deep',
    ),
    'lists-shared': (
        state_dict(x=b'](](NNNe' + b''.join(b'q\x01](h\x01h\x01e' for _ in range(40)) + b'e'),
        'unfold to more',
    ),
    'list-in-itself': (state_dict(x=b']q\x01h\x01a'), 'contains itself'),
    'dict-in-itself': (state_dict(x=b'}q\x01' + text('a') + b'h\x01s'), 'contains itself'),
    'tuple-in-itself': (state_dict(x=b']q\x01h\x01\x85q\x02a'), 'contains itself'),
    'metadata-in-itself': (
        mapping(
            state_dict=called('collections.OrderedDict')
            + mapping(_metadata=b'}q\x01' + text('a') + b'h\x01s')
            + b'b'
        ),
        'contains itself',
    ),
    'long-integers': (state_dict(x=b'](' + whole(1 << 900) * 2000 + b'e'), 'integers'),
    'memo-empty': (state_dict(x=b'h\x63'), 'not a readable checkpoint'),
    'text-longer-than-the-file': (state_dict(x=b'X\xff\xff\xff\x7fabc'), 'not a readable'),
    'stack-empty': (b'R', 'not a readable'),
    'class-as-value': (state_dict(x=named('collections.Counter')), 'holds an object of'),
    'storage-as-value': (state_dict(x=storage()), 'holds an object of'),
    'younger-pickle': (state_dict(x=b'\x8e' + struct.pack('<Q', 1 << 40)), 'not a readable'),
    'decimal-integer': (state_dict(x=b'I' + b'9' * 100_000 + b'\n'), 'not a readable|a step INT'),
    'log-buffer-empty': (
        state_dict(
            x=named('mmengine.logging.history_buffer.HistoryBuffer') + b')\x81' + mapping() + b'b'
        ),
        'no history',
    ),
    'set-of-much-many-times': (
        state_dict(
            x=b']('
            + named('builtins.set')
            + b'q\x01]('
            + whole(7) * 10_000
            + b'e\x85q\x02'
            + b'h\x01h\x02R' * 50_000
            + b'e'
        ),
        'steps',
    ),
    'counter-of-much-many-times': (
        state_dict(
            x=b']('
            + named('collections.Counter')
            + b'q\x01}('
            + b''.join(whole(n) + b'N' for n in range(10_000))
            + b'u\x85q\x02'
            + b'h\x01h\x02R' * 50_000
            + b'e'
        ),
        'steps',
    ),
    'attributes-many-times': (
        state_dict(
            x=b'](}('
            + b''.join(text(str(n)) + b'N' for n in range(10_000))
            + b'uq\x02'
            + (named('collections.OrderedDict') + b')Rh\x02b') * 50_000
            + b'e'
        ),
        'steps',
    ),
    'bytes-many-times': (
        state_dict(
            x=b']('
            + named('_codecs.encode')
            + b'q\x01'
            + text('a' * 1_000_000)
            + text('latin1')
            + b'\x86q\x02'
            + b'h\x01h\x02R' * 50_000
            + b'e'
        ),
        'unfold to',
    ),
    'array-many-times': (
        state_dict(
            x=b']('
            + array(dtype('u1', '|'), (1_000_000,), 'a' * 1_000_000).replace(
                latin('a' * 1_000_000), latin('a' * 1_000_000) + b'q\x03'
            )
            + (array(dtype('u1', '|'), (1_000_000,)).replace(latin('A' * 8), b'h\x03')) * 5000
            + b'e'
        ),
        'unfold to',
    ),
    'state-that-is-long-to-tell': (
        state_dict(
            x=b'](]('
            + b'](NNNe'
            + b''.join(b'q\x01](h\x01h\x01e' for _ in range(40))
            + b'e'
            + called('numpy.dtype', text('f8'))
            + b'h\x01h\x01\x86b'
            + b'e'
        ),
        'such a state|not a readable',
    ),
    'many-steps': (state_dict(x=b'](' + b'N' * 1_100_000 + b'e'), 'steps'),
}
