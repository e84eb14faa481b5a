"""What add_attention refuses: in one line, with the model as it was."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from attach_networks import SmallResNet, small_resnet
from torch import nn

import ge_det
from ge_det import add_attention
from ge_det.errors import UserError


class Scale(nn.Module):
    """A gate of a user's own, whose name follows from the class."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(in_channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight


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
        (dict(type='se', rato=8), r'take rato \(did you mean ratio\?\); it takes bias, .*ratio$'),
        (ge_det.SqueezeExcite(64), r'^attention=SqueezeExcite\(\.\.\.\) is not allowed: .* dict'),
        (dict(type=ge_det.SqueezeExcite(64)), r'type SqueezeExcite\(\.\.\.\) is not a block'),
        (torch.zeros(2, 9), r'^attention=tensor\(\[\[0., .* is not allowed'),
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
    for stages in (None, (True, False, False, False), (False, True, True, True)):
        for preserve in (True, False):
            given: Any = dict(stages=stages, preserve_function=preserve)
            check_refused(shared, r'layer1.0 and layer1.1 share their last norm', 'se', **given)


def test_units_that_share_a_normalisation(peers: None) -> None:
    model: Any = small_resnet()
    unit = model.layer1[0]
    pairs = [(model, unit.bn2, 16), (unit, unit.bn2, 16)]
    check_refused(model, '^the unit and layer1.0 share', 'se', units=lambda _: pairs)


def test_a_gate_of_the_users_own_is_there_already(peers: None) -> None:
    model = small_resnet()
    add_attention(model, dict(type=Scale), preserve_function=False)
    check_refused(model, r'has gates already: layer1.0.scale \(Scale\)', 'se')


def test_a_normalisation_with_an_activation(peers: None) -> None:
    """Scaling before it is no scaling after it."""

    class Norm(nn.BatchNorm2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.silu(super().forward(x))

    model: Any = small_resnet()
    model.layer1[0].bn2 = Norm(16).eval()
    check_refused(model, r'^layer1.0: its Norm does more than scale, .* a change of', 'se')
    add_attention(model, 'se', preserve_function=False)


@pytest.mark.parametrize('name', ['weight', 'bias'])
@pytest.mark.parametrize('other', ['layer1.1.bn2', 'layer1.1.bn1', 'bn1'])
def test_a_weight_that_stands_elsewhere_too(name: str, other: str, peers: None) -> None:
    model: Any = small_resnet()
    setattr(model.get_submodule(other), name, getattr(model.layer1[0].bn2, name))
    names = (
        rf'(?=.*\b{other}.{name} )(?=.*layer1.0.bn2.{name} ).* are one tensor: preserve_function'
    )
    check_refused(model, names, 'ge-theta-minus', stages=(True, False, False, False))
    add_attention(model, 'se', stages=(False, True, True, True))


@pytest.mark.parametrize('what', [RuntimeError('no\nfit'), KeyboardInterrupt(), OSError('no')])
def test_what_fails_with_gates_in_place_takes_them_out(what: BaseException, peers: None) -> None:
    model: Any = small_resnet()
    calls: list[int] = []

    def breaks(*_: Any) -> None:
        calls.append(1)
        if len(calls) > 6:  # The normalisations have factors, which are tried.
            raise what

    model.layer4.register_forward_hook(breaks)
    match = r'^SmallResNet does not run with these gates: no fit$'
    if isinstance(what, RuntimeError):
        check_refused(model, match, 'ge-theta-minus')
    else:
        before = copy.deepcopy(model.state_dict())
        kinds = [type(module) for module in model.modules()]
        with pytest.raises(type(what)):
            add_attention(model, 'ge-theta-minus')
        assert [type(module) for module in model.modules()] == kinds
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
        assert not any(m._forward_pre_hooks for m in model.modules())
    assert len(calls) == 7


def test_the_meta_device(peers: None) -> None:
    with torch.device('meta'):
        from torchvision.models import resnet18

        model = resnet18()
    check_refused(model, r'^layer1.0 is on the meta device, .* load them first', 'se')
    report = add_attention(model, 'ge-theta', preserve_function=False)
    assert len(report.gates) == 8 and all(tensor.is_meta for tensor in model.parameters())


def test_what_torch_jit_compiled(peers: None) -> None:
    traced = torch.jit.trace(small_resnet().eval(), torch.ones(1, 3, 32, 32))
    match = '(TopLevelTracedModule|Sequential) holds what torch.jit compiled, .* before torch.jit'
    check_refused(traced, match, 'se')
    check_refused(nn.Sequential(traced), match, 'se')


def test_weights_of_inference_mode(peers: None) -> None:
    with torch.inference_mode():
        model = small_resnet()
    check_refused(model, r'^layer1.0 was made under torch.inference_mode, .* outside of it', 'se')


@pytest.mark.parametrize('value', [float('nan'), float('inf'), 1e38])
def test_outputs_that_are_not_finite(value: float, peers: None) -> None:
    model: Any = small_resnet()
    nn.init.constant_(model.conv1.weight[0], value)
    names = [name for name, _ in model.named_modules()]
    with pytest.raises(UserError, match=r'^layer1.0: random input makes it put out infinity or N'):
        add_attention(model, 'se')
    assert [name for name, _ in model.named_modules()] == names


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
        (lambda model: None, r'must yield .*, not return a NoneType'),
        (
            lambda model: [(model, model[1], 16)],
            r'^the unit \(Sequential\) has 16 channels by units=, and .* BatchNorm2d, has 8$',
        ),
    ],
)
def test_units(units: Any, match: str) -> None:
    check_refused(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)), match, 'se', units=units)


@pytest.mark.parametrize('norm', [nn.GroupNorm(2, 8), nn.InstanceNorm2d(8), nn.LayerNorm(8)])
def test_channels_are_those_of_the_normalisation(norm: nn.Module) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), norm)
    check_refused(model, 'has 4 channels by', 'ge-theta', units=lambda m: [(m, norm, 4)])


def test_arguments_of_other_types() -> None:
    match = 'preserve_function=str is not allowed: it must be True'
    check_refused(nn.Identity(), match, 'se', preserve_function='no')
    for function in (ge_det.remove_attention, ge_det.execution_plan):
        with pytest.raises(UserError, match=r'^model=str is not allowed: it must be an nn.Module$'):
            function('resnet50')  # type: ignore[arg-type]


def test_one_line_is_a_users_error(peers: None) -> None:
    with pytest.raises(UserError):
        add_attention(nn.Identity(), 'se')
