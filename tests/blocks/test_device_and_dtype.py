"""Blocks take ``device`` and ``dtype`` as torch's modules do, and so stand in timm's networks."""

import inspect
from functools import partial

import pytest
import torch
from block_cases import BLOCKS, CHANNELS

from ge_det import GatherExcite, SpatialGroupEnhance, SqueezeExcite
from ge_det.catalogue import CLASSES


def described(block):
    return {
        name: (tensor.shape, tensor.dtype, tensor.requires_grad)
        for name, tensor in (*block.named_parameters(), *block.named_buffers())
    }


def test_every_block_of_the_catalogue_takes_them():
    for kind in CLASSES.values():
        taken = inspect.signature(kind).parameters
        for name in ('device', 'dtype'):
            assert taken[name].default is None and taken[name].kind is taken[name].KEYWORD_ONLY


@pytest.mark.parametrize('name', BLOCKS)
@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16], ids=str)
def test_every_tensor_is_where_and_as_asked_for(name, dtype):
    expected = described(BLOCKS[name](CHANNELS).to(dtype))
    for device in ('cpu', torch.device('meta')):
        block = BLOCKS[name](CHANNELS, device=device, dtype=dtype)
        assert described(block) == expected
        tensors = (*block.parameters(), *block.buffers())
        assert all(tensor.device == torch.device(device) for tensor in tensors)
    x = torch.randn(2, CHANNELS, 9, 8, dtype=dtype)
    out = BLOCKS[name](CHANNELS, dtype=dtype)(x)
    assert out.dtype == dtype and out.isfinite().all()


@pytest.mark.parametrize('name', BLOCKS)
def test_the_first_weights_are_the_same_however_it_is_made(name):
    """Also filled later: made on ``meta``, brought to a device, initialised there."""
    torch.manual_seed(3)
    usual = BLOCKS[name](CHANNELS)
    torch.manual_seed(3)
    assert_same(BLOCKS[name](CHANNELS, device='cpu', dtype=torch.float32), usual)
    later = BLOCKS[name](CHANNELS, device='meta').to_empty(device='cpu')
    for block in (usual, later):
        torch.manual_seed(4)
        block.init_weights()
    assert_same(later, usual)


def assert_same(one, other):
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize(
    'kind',
    [partial(SqueezeExcite, ratio=4), partial(SpatialGroupEnhance, groups=8), GatherExcite],
    ids=['se', 'sge', 'ge'],
)
def test_a_class_of_ours_is_an_attn_layer_of_timm(peers, kind):
    from timm.models.resnet import BasicBlock, ResNet

    network = ResNet(
        BasicBlock,
        (1, 1, 1, 1),
        num_classes=3,
        channels=(8, 16, 16, 16),
        stem_width=8,
        zero_init_last=False,
        block_args=dict(attn_layer=kind),
        dtype=torch.float64,
    )
    gates = [network.get_submodule(f'layer{stage}.0.se') for stage in range(1, 5)]
    assert [gate.in_channels for gate in gates] == [8, 16, 16, 16]
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float64}
    seen = []
    for gate in gates:
        gate.register_forward_hook(lambda gate, inputs, out: seen.append(out / inputs[0]))
    assert network(torch.randn(2, 3, 32, 32, dtype=torch.float64)).shape == (2, 3)
    assert all(gate.min() > 0 and gate.max() < 1 for gate in seen) and len(seen) == 4
