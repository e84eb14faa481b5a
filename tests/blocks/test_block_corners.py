"""Corners of what every block promises: dtypes, channels, one image, copies for several GPUs."""

import copy
import warnings

import pytest
import torch
from block_cases import BLOCKS, CHANNELS, random_block
from torch import nn

from ge_det.blocks import AttentionBlock


class HalfGate(AttentionBlock):
    """A block that defines its gate alone, in float32 whatever the features are."""

    _abbr_ = 'half_gate'

    def gate(self, x):
        return torch.sigmoid(x.float().mean((2, 3), keepdim=True))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_gate_of_another_dtype_leaves_that_of_the_features(dtype):
    assert HalfGate(4)(torch.randn(2, 4, 3, 3, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize('name', BLOCKS)
def test_the_gate_alone_refuses_other_channels(name):
    with pytest.raises(ValueError, match=r'was built for inputs .*, got \(2, 9, 4, 4\)'):
        random_block(name).float().gate(torch.randn(2, CHANNELS + 1, 4, 4))


@pytest.mark.parametrize('name', ['ge-theta-global', 'ge-theta_plus-global', 'sp-se', 'rg-se-1'])
@pytest.mark.parametrize('images', [0, 1])
def test_one_image_after_a_conversion_for_several_gpus(name, images):
    block = random_block(name).train()
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(block))
    x = torch.randn(images, CHANNELS, 6, 5, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # Of few values.
        assert torch.equal(converted(x), block(x))
    assert all(value.isfinite().all() for value in converted.state_dict().values())
