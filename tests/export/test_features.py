"""What is exported, and how the file is written."""

import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from ge_det import AttentionResNet
from ge_det.errors import UserError
from ge_det.export.features import Features
from ge_det.export.to_onnx import LEGACY_OPSET, OPSET, write_onnx


class Detector(nn.Module):
    """A backbone of two stages and a neck, as mmdet's detectors have them."""

    def __init__(self):
        from mmdet.models.necks import FPN

        super().__init__()
        stages = dict(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1))
        self.backbone = AttentionResNet(18, 'sge', base_channels=8, **stages)
        self.neck = FPN([8, 16], 4, num_outs=3)


class Halves(nn.Module):
    """Decides by the height, as an `if` in Python does."""

    def forward(self, images):
        return images * 2 if images.shape[2] > 100 else images / 2


class Clipped(nn.Module):
    """Takes the sizes of the pictures beside them."""

    def forward(self, images, sizes):
        return images.mean((1, 2, 3))[:, None] + sizes


def images(*size):
    return torch.rand(*size, generator=torch.Generator().manual_seed(1))


def run(file, **inputs):
    session = onnxruntime.InferenceSession(file, providers=['CPUExecutionProvider'])
    return session.run(None, {name: x.numpy() for name, x in inputs.items()})


def test_features_are_the_maps_of_the_neck_and_of_the_backbone():
    detector, x = Detector().eval(), images(2, 3, 96, 70)
    levels, stages = Features(detector, 'features'), Features(detector, 'backbone')
    assert levels.names == ('level0', 'level1', 'level2')
    assert stages.names == Features(detector.backbone, 'backbone').names == ('layer1', 'layer2')
    expected = detector.backbone(x)
    torch.testing.assert_close(stages(x), expected)
    torch.testing.assert_close(levels(x), detector.neck(expected))


def test_stages_have_the_names_of_what_is_taken_from_them():
    backbone = AttentionResNet(18, base_channels=8, out_indices=(1, 3))
    assert Features(backbone, 'backbone').names == ('layer2', 'layer4')
    assert backbone.training  # As it was.


def test_a_network_without_a_neck_has_no_features():
    with pytest.raises(UserError, match=r"has no neck.*what='backbone'"):
        Features(AttentionResNet(18, base_channels=8), 'features')
    with pytest.raises(ValueError, match="'features', 'backbone'"):
        Features(AttentionResNet(18, base_channels=8), 'detector')


@pytest.mark.parametrize('legacy', [False, True], ids=['present', 'legacy'])
def test_a_file_says_what_its_axes_are_and_nothing_of_where_it_was_made(tmp_path, legacy):
    file, detector = tmp_path / 'levels.onnx', Detector().train()
    levels = Features(detector, 'features')
    options = dict(outputs=levels.names, dynamic=True, legacy=legacy)
    write_onnx(levels, images(1, 3, 96, 70), str(file), **options)
    assert detector.training and detector.backbone.layer1[0].training
    assert list(tmp_path.iterdir()) == [file]

    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    opset = LEGACY_OPSET if legacy else OPSET
    assert [(one.domain, one.version) for one in model.opset_import] == [('', opset)]
    assert not model.functions and __file__.encode() not in file.read_bytes()
    assert b'features.py' not in file.read_bytes()
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes.pop('images') == ['batch', 3, 'height', 'width']
    assert list(shapes) == ['level0', 'level1', 'level2']
    assert all(shape[:2] == ['batch', 4] for shape in shapes.values())
    assert all(isinstance(side, str) for shape in shapes.values() for side in shape[2:])


@pytest.mark.parametrize('legacy', [False, True], ids=['present', 'legacy'])
def test_without_open_axes_a_file_is_for_one_shape(tmp_path, legacy):
    file, network = tmp_path / 'fixed.onnx', Halves()
    options = dict(outputs=['maps'], dynamic=False, legacy=legacy)
    write_onnx(network, images(2, 3, 120, 24), file, **options)
    x = images(2, 3, 120, 24) + 1
    torch.testing.assert_close(torch.from_numpy(run(file, images=x)[0]), network(x))
    with pytest.raises(Exception, match='Got invalid dimensions'):
        run(file, images=images(2, 3, 90, 24))


def test_a_decision_by_an_open_axis_is_refused(tmp_path):
    with pytest.raises(UserError) as error:
        write_onnx(
            Halves(), images(2, 3, 120, 64), tmp_path / 'halves.onnx', outputs=['x'], dynamic=True
        )
    assert str(error.value) == (
        'this network decides something by its height, so what is exported at 120x64 would be '
        'wrong at other sizes; export it for one size: --size 120 64, or dynamic=False'
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('legacy', [False, True], ids=['present', 'legacy'])
@pytest.mark.parametrize(
    'shape, told',
    [
        ((33, 3, 64, 64), 'batch 33 is out of bounds: it must be 1 to 32'),
        ((1, 3, 20, 64), 'height 20 is out of bounds: it must be 33 to 2048'),
        ((1, 3, 64, 4000), 'width 4000 is out of bounds: it must be 33 to 2048'),
    ],
)
def test_an_example_out_of_bounds_is_refused(tmp_path, shape, told, legacy):
    example = torch.empty(1, 1, 1, 1).expand(shape)
    with pytest.raises(UserError, match=told):
        write_onnx(
            nn.ReLU(), example, tmp_path / 'x.onnx', outputs=['x'], dynamic=True, legacy=legacy
        )


@pytest.mark.parametrize('batch', [1, 2])
def test_further_inputs_share_the_batch(tmp_path, batch):
    file = tmp_path / 'clipped.onnx'
    sizes = torch.full((batch, 2), 7)
    options = dict(inputs=dict(sizes=sizes), outputs=['clipped'], dynamic=True)
    write_onnx(Clipped(), images(batch, 3, 64, 80), file, **options)
    graph = onnx.load(file).graph
    named = {value.name: value.type.tensor_type.shape.dim[0].dim_param for value in graph.input}
    assert named == dict(images='batch', sizes='batch')
    x, sizes = images(5, 3, 70, 40), torch.arange(10).view(5, 2)
    (clipped,) = run(file, images=x, sizes=sizes)
    torch.testing.assert_close(torch.from_numpy(clipped), Clipped()(x, sizes))
