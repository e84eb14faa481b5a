"""What the backbone says of its maps, in the words of torchvision and timm."""

import pytest
import torch
import torchvision_operators
from hypothesis import given, settings
from hypothesis import strategies as st

from ge_det import AttentionResNet


@settings(deadline=None, max_examples=12)
@given(
    depth=st.sampled_from([18, 50]),
    width=st.sampled_from([4, 8]),
    strides=st.lists(st.sampled_from([1, 2]), min_size=1, max_size=4),
    data=st.data(),
)
def test_they_are_as_told(depth, width, strides, data):
    stages = range(len(strides))
    chosen = data.draw(st.sets(st.sampled_from(stages), min_size=1).map(sorted))
    backbone = AttentionResNet(
        depth, base_channels=width, num_stages=len(strides), strides=strides, out_indices=chosen
    ).eval()
    left = {}
    for info in backbone.feature_info:
        name = info['module']
        backbone.get_submodule(name).register_forward_hook(
            lambda stage, x, out, name=name: left.update({name: out})
        )
    maps = backbone(torch.rand(1, 3, 64, 128))
    assert [found.shape[1] for found in maps] == backbone.out_channels
    for found, info in zip(maps, backbone.feature_info, strict=True):
        reduction = info['reduction']
        assert info['num_chs'] == found.shape[1]
        assert found.shape[2:] == (64 // reduction, 128 // reduction)
        assert left[info['module']] is found


def test_as_timm_tells_them_of_its_own(peers):
    import timm

    theirs = timm.create_model('resnet18', features_only=True, out_indices=(1, 3, 4))
    ours = AttentionResNet(18, 'se', out_indices=(0, 2, 3))
    assert ours.out_channels == theirs.feature_info.channels()
    dicts = theirs.feature_info.get_dicts(keys=['num_chs', 'reduction', 'module'])
    assert ours.feature_info == dicts


@pytest.mark.parametrize('attention', ['se', 'sge'])
def test_a_detector_of_torchvision_around_it(peers, monkeypatch, attention):
    torchvision_operators.stand_in(monkeypatch)
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import BackboneWithFPN

    net = AttentionResNet(18, attention, base_channels=16, norm_eval=False)
    stages = {info['module']: str(number) for number, info in enumerate(net.feature_info)}
    body = BackboneWithFPN(net, stages, net.out_channels, out_channels=16)
    detector = FasterRCNN(body, num_classes=3, min_size=64, max_size=64)

    image = torch.rand(3, 64, 64)
    (found,) = detector.eval()([image])
    assert found['boxes'].shape[1:] == (4,)
    target = dict(boxes=torch.tensor([[5.0, 5, 40, 50]]), labels=torch.tensor([1]))
    losses = detector.train()([image, image], [target, target])
    sum(losses.values()).backward()
    learned = [p for gate in net.gates().values() for p in gate.parameters()]
    assert learned and all(p.grad is not None for p in learned)
