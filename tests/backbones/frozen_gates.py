"""Narrow networks whose first stage is frozen, and whether the gates there are computed."""

import torch
from attention_cases import narrow_attention

from ge_det import AttentionResNet
from ge_det.blocks.constant import MayBeConstant

GATED = narrow_attention()


def network(name, file, preserve=True, **kwargs):
    backbone = AttentionResNet(
        18,
        GATED[name],
        pretrained=dict(checkpoint=file, preserve_function=preserve),
        **dict(dict(base_channels=8, frozen_stages=1, norm_eval=True), **kwargs),
    )
    backbone.init_weights()
    return backbone


def plain(file):
    backbone = AttentionResNet(18, base_channels=8, pretrained=file)
    backbone.init_weights()
    return backbone.eval()


def first_stage(backbone):
    return [gate for name, gate in backbone.gates().items() if name.startswith('layer1')]


def learns(gates):
    (flag,) = {p.requires_grad for gate in gates for p in gate.parameters()}
    return flag


def images(dtype=torch.float32):
    return torch.randn(2, 3, 64, 98, generator=torch.Generator().manual_seed(1), dtype=dtype)


def is_computed(gates):
    return any(gate.known_constant() is None for gate in gates)


def computed(backbone, x, monkeypatch):
    """What every gate gives when it is computed."""
    with monkeypatch.context() as patch:
        patch.setattr(MayBeConstant, 'known_constant', lambda self: None)
        return backbone(x)


def same(actual, expected, **tolerance):
    for x, y in zip(actual, expected, strict=True):
        torch.testing.assert_close(x, y, **tolerance)


@torch.no_grad()
def write(backbone, state):
    for key, tensor in backbone.state_dict(keep_vars=True).items():
        tensor.copy_(state[key])
