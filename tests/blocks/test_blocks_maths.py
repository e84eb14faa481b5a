"""Blocks against their literal references, in float64, with gradients."""

import copy
import pickle
import warnings

import pytest
import torch
from block_cases import BLOCKS, CHANNELS, random_block
from naive_blocks import reference

from ge_det.ops import gather_average, pool_to_grid, squeeze

# Square, odd, wide, the training grid itself, smaller than every extent, a line, a single position.
SIZES = [(8, 8), (9, 7), (3, 17), (5, 4), (2, 3), (1, 6), (1, 1)]

each_block = pytest.mark.parametrize('name', BLOCKS)
each_mode = pytest.mark.parametrize('training', [True, False], ids=['train', 'eval'])


def features(*size, batch=3, dtype=torch.float64, requires_grad=False):
    return torch.randn(batch, CHANNELS, *size, dtype=dtype, requires_grad=requires_grad)


@each_block
@each_mode
@pytest.mark.parametrize('size', SIZES, ids=str)
def test_equals_reference_with_gradients(name, training, size):
    block = random_block(name).train(training)
    x = features(*size, requires_grad=True)
    inputs = [x, *block.parameters()]
    upstream = torch.randn_like(x)

    expected = reference(block, x)  # first: it leaves the running statistics alone
    expected_grads = torch.autograd.grad(expected, inputs, upstream, allow_unused=True)
    actual = block(x)
    grads = torch.autograd.grad(actual, inputs, upstream, allow_unused=True)

    torch.testing.assert_close(actual, expected, atol=1e-12, rtol=1e-10)
    for grad, expected_grad in zip(grads, expected_grads, strict=True):
        if expected_grad is None:  # similarity of one position: gamma has no influence
            assert grad is None or not grad.any()
        else:
            torch.testing.assert_close(grad, expected_grad, atol=1e-10, rtol=1e-9)


@each_block
@each_mode
def test_forward_is_input_times_gate_in_unit_interval(name, training):
    block = random_block(name).train(training)
    x = features(6, 5)
    gate = block.gate(x)
    assert torch.broadcast_shapes(gate.shape, x.shape) == x.shape
    assert ((gate > 0) & (gate < 1)).all()
    torch.testing.assert_close(block(x), x * gate)


@each_block
def test_gradcheck(name):
    block = random_block(name).eval()
    parameters = dict(block.named_parameters())

    def run(x, *values):
        state = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(block, state, (x,))

    inputs = (features(5, 3, batch=2, requires_grad=True), *parameters.values())
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


@each_block
@each_mode
def test_empty_batch(name, training):
    block = random_block(name).train(training)
    before = {key: value.clone() for key, value in block.state_dict().items()}
    x = features(6, 5, batch=0, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        y = block(x)
    y.sum().backward()
    assert y.shape == x.shape == x.grad.shape
    for key, value in block.state_dict().items():
        torch.testing.assert_close(value, before[key], msg=key)


@each_block
@each_mode
def test_single_image_single_position(name, training):
    block = random_block(name).train(training)
    x = features(1, 1, batch=1, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # one value per channel: running statistics stand in
        y = block(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()
    torch.testing.assert_close(y, reference(block, x))


@each_block
@pytest.mark.parametrize('batch', [1, 2, 8])
def test_warns_where_a_gate_normalises_few_values(name, batch):
    block = random_block(name).train()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        block(features(32, 32, batch=batch))
    fused = {'sp-se', 'rg-se-8', 'rg-se-4', 'rg-se-2'}
    pools_to_one = name in {'ge-theta-global', 'ge-theta_plus-global'} | fused
    assert bool(caught) == (pools_to_one and batch < 8)


@each_block
@pytest.mark.parametrize('layout', ['channels_last', 'transposed', 'strided'])
def test_memory_layouts(name, layout):
    block = random_block(name).eval()
    x = features(6, 6)
    view = {
        'channels_last': x.contiguous(memory_format=torch.channels_last),
        'transposed': x.transpose(2, 3).contiguous().transpose(2, 3),
        'strided': torch.stack([x, x], -1)[..., 0],
    }[layout]
    y = block(view)
    torch.testing.assert_close(y, block(x))
    if layout == 'channels_last':
        assert y.is_contiguous(memory_format=torch.channels_last)


@each_block
@each_mode
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_follows_float64(name, training, dtype):
    block = random_block(name, dtype).train(training)
    double = BLOCKS[name](CHANNELS).double().train(training)
    double.load_state_dict(block.state_dict())
    x = features(9, 7, dtype=dtype)
    y = block(x)
    assert y.dtype == block.gate(x).dtype == dtype
    tolerance = 4e-3 if dtype == torch.float16 else 4e-2
    torch.testing.assert_close(y.double(), double(x.double()), atol=tolerance, rtol=tolerance)


@each_block
def test_autocast(name):
    block = random_block(name, torch.float32)
    x = features(9, 7, dtype=torch.float32)
    expected = block(x)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y = block(x)
        assert y.dtype == x.dtype
        assert block(x.bfloat16()).dtype == torch.bfloat16
    torch.testing.assert_close(y, expected, atol=5e-2, rtol=5e-2)


@each_block
def test_autocast_trains_on_float32_features(name):
    """Such as frozen normalisations and layer norms put out, and pictures are."""
    grads = []
    for on in (False, True):
        torch.manual_seed(0)
        block, x = random_block(name, torch.float32), features(9, 7, dtype=torch.float32)
        x.requires_grad_()
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=on):
            y = block(x)
        y.backward(torch.randn_like(y))
        grads.append([x.grad, *(p.grad for p in block.parameters())])
    for under_autocast, exact in zip(*grads, strict=True):
        assert under_autocast.dtype == exact.dtype
        assert (under_autocast - exact).norm() <= 0.1 * exact.norm() + 1e-5


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_statistics_of_half_precision_are_float32(dtype):
    x = features(9, 7, dtype=dtype)
    assert squeeze(x).dtype == torch.float32
    assert gather_average(x, 'global').dtype == torch.float32
    assert gather_average(x, 8).dtype == torch.float32
    assert pool_to_grid(x, (4, 4)).dtype == torch.float32
    assert pool_to_grid(x, (9, 7)).dtype == torch.float32


def test_sge_similarities_do_not_overflow_half_precision():
    block = BLOCKS['sge'](CHANNELS).half()
    torch.nn.init.ones_(block.weight)
    x = torch.full((1, CHANNELS, 32, 32), 400.0, dtype=torch.float16)
    x[..., ::2, :] = -100  # similarities of 2 * 400 * 150 exceed 65504
    y = block(x)
    assert y.isfinite().all()
    torch.testing.assert_close(y.float(), block.float()(x.float()), rtol=2e-3, atol=1e-3)


@each_block
def test_dynamo_captures_the_whole_block(name):
    torch._dynamo.reset()
    block = random_block(name, torch.float32).eval()
    x = features(9, 7, dtype=torch.float32)
    compiled = torch.compile(block, backend='eager', fullgraph=True)
    torch.testing.assert_close(compiled(x), block(x))


@each_block
def test_dynamo_captures_training_on_few_values(name):
    torch._dynamo.reset()
    block = random_block(name, torch.float32).train()
    x = features(9, 7, batch=2, dtype=torch.float32)
    expected = copy.deepcopy(block)(x)
    compiled = torch.compile(block, backend='eager', fullgraph=True)
    torch.testing.assert_close(compiled(x), expected)


@each_block
def test_sync_batch_norm_takes_the_place_of_batch_norm(name):
    block = random_block(name, torch.float32).eval()
    x = features(9, 7, dtype=torch.float32)
    expected = block(x)
    converted = torch.nn.SyncBatchNorm.convert_sync_batchnorm(block)
    assert not any(type(m) is torch.nn.BatchNorm2d for m in converted.modules())
    torch.testing.assert_close(converted(x), expected)
    assert pickle.loads(pickle.dumps(converted)).state_dict().keys() == block.state_dict().keys()
