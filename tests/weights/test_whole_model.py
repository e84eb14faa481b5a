"""What a checkpoint has to hold of a whole model, to go on with it and to start from it."""

import functools

import pytest
import torch
from torch import nn

from ge_det import AttentionResNet
from ge_det.errors import CheckpointError
from ge_det.weights.whole_model import check_fits, check_may_start

SE = dict(type='ge_det.SqueezeExcite', ratio=4)
SGE = dict(type='ge_det.SpatialGroupEnhance', groups=4)
MINUS = dict(type='ge_det.GatherExcite')
GATED = "model = dict(backbone=dict(attention=dict(type='ge_det.GatherExcite')))"
PLAIN = "model = dict(backbone=dict(type='ge_det.AttentionResNet'))"


class Detector(nn.Module):
    """Parts and names of a detector of two stages."""

    def __init__(self, depth=18, classes=3, base_channels=8, mask=False, **backbone):
        super().__init__()
        self.backbone = AttentionResNet(depth, base_channels=base_channels, **backbone)
        self.backbone.init_weights()
        self.neck = nn.Conv2d(8 * base_channels, 4, 1)
        self.rpn_head = nn.Conv2d(4, 3, 1)
        self.roi_head = nn.ModuleDict(dict(bbox_head=nn.ModuleDict()))
        self.roi_head.bbox_head.update(dict(fc=nn.Linear(4, 4), fc_cls=nn.Linear(4, classes + 1)))
        if mask:
            self.roi_head['mask_head'] = nn.Conv2d(4, classes, 1)


@pytest.fixture
def write(tmp_path):
    def write(state, **more):
        torch.save(dict(state_dict=state, **more), tmp_path / 'epoch_1.pth')
        return str(tmp_path / 'epoch_1.pth')

    return write


def without(state, start):
    return {key: value for key, value in state.items() if not key.startswith(start)}


def refused(check, model, path, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        check(model, path)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'prefix',
    ['', 'module.', '_orig_mod.', 'module._orig_mod.', 'teacher.', 'model.module.ema._orig_mod.'],
)
def test_its_own_weights_fit(prefix, write):
    model = Detector()
    path = write({prefix + key: value for key, value in model.state_dict().items()})
    check_fits(model, path)
    assert check_may_start(model, path) == []


def test_a_training_goes_on_only_from_the_names_of_its_model(write):
    model = Detector()
    for prefix in ('', 'module.', '_orig_mod.'):
        path = write({prefix + key: value for key, value in model.state_dict().items()})
        check_fits(model, path, resumes=True)
    path = write({f'teacher.{key}': value for key, value in model.state_dict().items()})
    resumes = functools.partial(check_fits, resumes=True)
    refused(resumes, model, path, "under 'teacher'.*load_from=.*, without --resume")


def test_of_several_networks_it_is_said_which_was_taken(write):
    model, state = Detector(), Detector().state_dict()
    path = write({f'{one}.{k}': v for one in ('teacher', 'student') for k, v in state.items()})
    check_fits(model, path)
    assert check_may_start(model, path) == [
        "of several sets of weights in it, 'student' was taken, not 'teacher'"
    ]
    path = write({f'{one}.{k}': v for one in ('first', 'second') for k, v in state.items()})
    for check in (check_fits, check_may_start):
        refused(check, model, path, "several networks .* 'first' and 'second'")


# What no model takes, whatever it is for.
TRUNK = {
    'another depth': (Detector, dict(depth=34), 'a ResNet-18, this backbone is a ResNet-34'),
    'another width': (Detector, dict(base_channels=16), 'base_channels=8, this backbone 16'),
    'one channel': (Detector, dict(in_channels=1), 'of 3 channels and this backbone of 1'),
    'plain under gates': (Detector, dict(attention=SGE), "only the model has 'sge'"),
    'gates under plain': (lambda: Detector(attention=SGE), {}, "only it has 'sge'"),
    'another ratio': (
        lambda: Detector(attention=SE),
        dict(attention=dict(SE, ratio=2)),
        r'of another shape.*se_layer.*\(2, 8, 1, 1\) instead of \(4, 8, 1, 1\)',
    ),
}


@pytest.mark.parametrize('check', [check_fits, check_may_start])
@pytest.mark.parametrize(('trained', 'options', 'message'), TRUNK.values(), ids=TRUNK.keys())
def test_another_trunk_is_refused_and_named(check, trained, options, message, write):
    refused(check, Detector(**options), write(trained().state_dict()), message)


@pytest.mark.parametrize('check', [check_fits, check_may_start])
@pytest.mark.parametrize(
    'layer', ['backbone.conv1.weight', 'backbone.layer4.1.bn2', 'neck', 'roi_head.bbox_head.fc_cls']
)
def test_a_missing_layer_is_refused_and_named(check, layer, write):
    path = write(without(Detector().state_dict(), layer))
    refused(check, Detector(), path, f"missing, the first '{layer}")


@pytest.mark.parametrize('check', [check_fits, check_may_start])
def test_unsound_weights_are_refused(check, write):
    state = Detector().state_dict()
    state['rpn_head.bias'][1] = float('nan')
    refused(check, Detector(), write(state), r"'rpn_head.bias' holds NaN \(1 of 3 values\)")
    integers = {**Detector().state_dict(), 'rpn_head.bias': torch.ones(3).int()}
    refused(check, Detector(), write(integers), "'rpn_head.bias' is int32")


def test_another_number_of_classes_is_a_start_and_is_named(write):
    model, path = Detector(classes=5), write(Detector(classes=3).state_dict())
    assert check_may_start(model, path) == [
        '2 tensors of heads start anew, the first roi_head.bbox_head.fc_cls.weight '
        '(4, 4) instead of (6, 4)'
    ]
    refused(check_fits, model, path, 'another number of classes or anchors')


def test_a_head_that_is_missing_or_more_is_a_start_and_is_named(write):
    small, large = Detector(), Detector(mask=True)
    path = write(small.state_dict())
    assert check_may_start(large, path) == [
        '2 tensors of heads start anew, the first roi_head.mask_head.weight'
    ]
    refused(check_fits, large, path, "2 tensors are missing, the first 'roi_head.mask_head.weight")
    path = write(large.state_dict())
    assert 'are not used, the first roi_head.mask_head.weight' in check_may_start(small, path)[0]
    refused(check_fits, small, path, "left over, the first 'roi_head.mask_head.weight")


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_a_backbone_alone_is_no_start(prefix, write):
    path = write({prefix + k: v for k, v in Detector().backbone.state_dict().items()})
    refused(check_may_start, Detector(), path, 'pretrained=|neck')


@pytest.mark.parametrize('check', [check_fits, check_may_start])
@pytest.mark.parametrize(
    ('text', 'attention', 'message'),
    [
        (GATED, MINUS, None),
        (PLAIN, None, None),
        ('not a config (', MINUS, None),
        (PLAIN, MINUS, 'trained without the 8 gates .GatherExcite theta_minus'),
        (GATED, None, "trained with 'GatherExcite theta_minus.*', which this backbone has not"),
    ],
)
def test_gates_without_tensors_are_told_by_the_config(check, text, attention, message, write):
    path = write(Detector().state_dict(), meta=dict(cfg=text))
    model = Detector(attention=attention)
    if message is None:
        check(model, path)
    else:
        refused(check, model, path, message)
