"""Two pictures alone and in one padded batch, and networks that look at their areas or do not."""

from functools import cache

import torch
from attention_cases import narrow_attention
from random_networks import randomise

from ge_det import AttentionResNet

SIZES = [(75, 60), (64, 96)]
GATED = narrow_attention()
NARROW = dict(depth=50, base_channels=8, gate_norm_eval=True)


def pictures(dtype=torch.float32):
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(1, 3, *size, generator=generator, dtype=dtype) for size in SIZES]


def batch(alone, size=(96, 120), border=0.0):
    padded = torch.full((len(alone), 3, *size), border, dtype=alone[0].dtype)
    for place, picture in zip(padded, alone, strict=True):
        place[:, : picture.shape[2], : picture.shape[3]] = picture[0]
    return padded


def network(attention, **kwargs):
    """With gates that differ from picture to picture."""
    torch.manual_seed(0)
    built = randomise(AttentionResNet(attention=attention, **{**NARROW, **kwargs}))
    with torch.no_grad():
        for gate in built.gates().values():
            for parameter in gate.parameters():
                parameter += 0.5 * torch.randn_like(parameter)
    return built


def pair(attention, **kwargs):
    """The same network with the option and without."""
    plain = network(attention, **kwargs)
    watching = AttentionResNet(attention=attention, valid_area=True, **{**NARROW, **kwargs}).eval()
    watching.load_state_dict(plain.state_dict())
    return watching, plain


@cache
def pair_of(name):
    """Of a block by its short name, with four stages; nobody changes it."""
    return pair(GATED[name])


@torch.no_grad()
def deviation(maps, own_maps):
    """How far the own areas of maps are from those of each picture alone, at the worst stage."""
    worst = 0.0
    for number, own_levels in enumerate(own_maps):
        for level, own in zip(maps, own_levels, strict=True):
            cut = level[number : number + 1, :, : own.shape[2], : own.shape[3]]
            worst = max(worst, float((cut - own).norm() / own.norm()))
    return worst
