"""What add_attention refuses: in one line, with the model as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from attach_networks import SmallResNet, small_resnet
from torch import nn

import ge_det
from ge_det import add_attention
from ge_det.errors import UserError


def check_refused(model: Any, match: str, *args: Any, **kwargs: Any) -> None:
    before = None
    if isinstance(model, nn.Module):
        before = {name: id(module) for name, module in model.named_modules()}
        tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    with pytest.raises(ValueError, match=match) as caught:
        add_attention(model, *args, **kwargs)
    assert '\n' not in str(caught.value) and len(str(caught.value)) < 400
    if before is not None:
        assert {name: id(module) for name, module in model.named_modules()} == before
        now = model.state_dict()
        assert now.keys() == tensors.keys()
        assert all(torch.equal(now[key], tensors[key]) for key in now if not now[key].is_meta)
        assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]


@pytest.mark.parametrize(
    ('attention', 'match'),
    [
        ('sgee', r"attention 'sgee': no such block; did you mean sge"),
        ('none', r"attention='none' is not allowed"),
        (None, r'attention=None is not allowed'),
        (3, r'attention=3 is not allowed: it must be a short name'),
        (dict(ratio=4), r'must be a short name such as'),
        (dict(type='SE'), r"type 'SE' is not a block: ge_det has .*ge_det.SqueezeExcite"),
        (dict(type='sgee'), r"type 'sgee' is not a block: did you mean sge, se\? ge_det has"),
        (dict(type='se', grid=3), r'SqueezeExcite does not take grid'),
        (dict(type='se', device='cpu'), r'SqueezeExcite does not take device'),
        (dict(type='se', ratio=0), r'^layer1.0: ratio=0 is not allowed'),
        (dict(type='se', ratio=64), r'^layer1.0: ratio=64 is not allowed with in_channels=16'),
        (dict(type='sge', groups=64), r'^layer1.0: groups=64 is not allowed with in_channels=16'),
        (dict(type='se', postfix='a.b'), r"postfix='a.b' is not allowed"),
        (dict(type=nn.Conv2d, out_channels=3, kernel_size=1), r'Conv2d has no make_constant'),
        (dict(type=nn.ReLU), r'takes no in_channels'),
    ],
)
def test_blocks(attention: Any, match: str, peers: None) -> None:
    check_refused(small_resnet(), match, attention)


@pytest.mark.parametrize(
    ('stages', 'match'),
    [
        ((True, False), r'stages=\(True, False\) is not allowed: .* each of the 4 stages'),
        ((0, 1, 1, 1), r'must hold one bool for each of the 4 stages'),
        ('all', r"stages='all' is not allowed"),
        (3, r'stages=3 is not allowed'),
        ((False,) * 4, r'it chooses no unit'),
    ],
)
def test_stages(stages: Any, match: str, peers: None) -> None:
    check_refused(small_resnet(), match, 'se', stages=stages)


def test_models_without_units() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    looked = 'torchvision, timm, OpenMMLab, transformers, detectron2; for others give units='
    check_refused(model, f'Sequential has no residual unit that is known here: .*{looked}', 'se')
    check_refused('resnet50', 'model=str is not allowed: it must be an nn.Module', 'se')


def test_gates_that_are_there(peers: None) -> None:
    import timm
    from mmpretrain.models import SEResNet

    model = small_resnet()
    add_attention(model, 'sge')
    check_refused(model, r'layer1.0.sge \(SpatialGroupEnhance\), .* and 2 more', 'se')
    timms = timm.create_model('seresnet18' if timm.is_model('seresnet18') else 'seresnet50')
    check_refused(timms, r'ResNet has gates already: layer1.0.se \(SEModule\)', 'sge')
    mms = SEResNet(50, base_channels=8, stem_channels=8)
    check_refused(mms, r'layer1.0.se_layer \(SELayer\)', 'sge')
    ours = ge_det.AttentionResNet(18, attention='se', base_channels=16)
    check_refused(ours, r'AttentionResNet has gates already: layer1.0.se_layer', 'sge')


def test_a_name_that_is_taken(peers: None) -> None:
    class Scale(nn.Module):
        def __init__(self, in_channels: int) -> None:
            super().__init__()

    model = small_resnet()
    model.layer1[0].scale = 3
    kwargs: Any = dict(preserve_function=False)
    check_refused(model, r"layer1.0 has .* 'scale' already: .* postfix", dict(type=Scale), **kwargs)
    report = add_attention(model, dict(type=Scale, postfix='_2'), **kwargs)
    assert report.gates[0].gate == 'layer1.0.scale_2'


def test_normalisations(peers: None) -> None:
    from torchvision.models.resnet import BasicBlock

    model = SmallResNet(BasicBlock, norm_layer=lambda c: nn.BatchNorm2d(c, affine=False))
    check_refused(model, r'^layer1.0: .*BatchNorm2d has none here: .*preserve_function=False', 'se')
    add_attention(model, 'se', preserve_function=False)
    folded: Any = small_resnet()
    folded.layer2[0].bn2 = nn.Identity()
    check_refused(folded, r'^layer2.0 \(BasicBlock\) has no normalisation after', 'se')
    shared: Any = small_resnet()
    shared.layer1[1].bn2 = shared.layer1[0].bn2
    check_refused(shared, r'layer1.0 and layer1.1 share their last normalisation', 'se')


def test_the_meta_device(peers: None) -> None:
    with torch.device('meta'):
        from torchvision.models import resnet18

        model = resnet18()
    check_refused(model, r'^layer1.0 is on the meta device, .* load them first', 'se')
    report = add_attention(model, 'ge-theta', preserve_function=False)
    assert len(report.gates) == 8 and all(tensor.is_meta for tensor in model.parameters())


@pytest.mark.parametrize(
    ('units', 'match'),
    [
        (3, r'units=3 is not allowed: it must be a function'),
        (lambda model: [], r'units= yields no unit of this model'),
        (
            lambda model: [model[0]],
            r'units= must yield \(unit, last normalisation, channels\), not',
        ),
        (lambda model: [(nn.ReLU(), model[1], 8)], r'the unit ReLU is no module of the model'),
        (
            lambda model: [(model[0], model[1], 8)],
            r'the normalisation of 0, .* no module inside it',
        ),
        (lambda model: [(model, model[1], 0)], r'the channels of the model are 0'),
        (lambda model: [(model, model[1], 8)] * 2, r'the model comes twice'),
    ],
)
def test_units(units: Any, match: str) -> None:
    check_refused(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), match, 'se', units=units)


def test_one_line_is_a_users_error(peers: None) -> None:
    with pytest.raises(UserError):
        add_attention(nn.Identity(), 'se')
