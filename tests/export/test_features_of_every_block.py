"""Every block out of Python: right at every size, whatever size it was exported at."""

import copy
import pickle

import onnxruntime
import pytest
import torch
from block_cases import BLOCKS as VARIANTS
from block_cases import CHANNELS, random_block
from mmdet.models.backbones.resnet import BasicBlock, Bottleneck
from random_networks import randomise
from torch import nn

import ge_det
from ge_det import AttentionResNet
from ge_det.catalogue import BLOCKS, attention_config, stage_channels
from ge_det.export.features import Features
from ge_det.export.program import export_program
from ge_det.export.to_onnx import write_onnx

SIZES = [(1, 33, 65), (9, 64, 64), (2, 96, 128), (3, 100, 134), (2, 229, 161), (1, 480, 323)]
EXPORTED_AT = [(1, 96, 128), (2, 577, 897)]


class Short(AttentionResNet):
    """Four stages of one unit each."""

    arch_settings = {18: (BasicBlock, (1, 1, 1, 1)), 50: (Bottleneck, (1, 1, 1, 1))}


class Detector(nn.Module):
    """A backbone with a feature pyramid."""

    def __init__(self, backbone, channels):
        from mmdet.models.necks import FPN

        super().__init__()
        self.backbone = backbone
        self.neck = FPN(channels, 8, num_outs=5)


class OneBlock(nn.Module):
    """A block on as many channels as it has."""

    def __init__(self, block):
        super().__init__()
        self.spread = nn.Conv2d(3, CHANNELS, 1)
        self.block = block

    def forward(self, images):
        return (self.block(self.spread(images)),)


def network(name, depth, kind=Short):
    torch.manual_seed(0)
    attention = attention_config(name, stage_channels(depth, 8)[0])
    if 'plus' in name or name.endswith('se'):
        attention['ratio'] = 4
    if name == 'sge':  # Of several channels each, as in a network of the usual width.
        attention['groups'] = 4
    backbone = kind(depth, attention, base_channels=8)
    for parameter in backbone.parameters():
        if parameter.shape[0] == 1:  # Of SGE, which starts as a constant.
            nn.init.normal_(parameter)
    return randomise(backbone)


def images(*shape):
    return torch.randn(shape[0], 3, *shape[1:], generator=torch.Generator().manual_seed(1))


def session(file):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, providers=['CPUExecutionProvider'])


def assert_right_at(sizes, run, model):
    """Every map is within 1e-5 of its largest value, of PyTorch's or of what float64 makes of it.

    Where the two round in opposite ways they may be further apart from each other.
    """
    for size in sizes:
        x = images(*size)
        with torch.no_grad():
            expected, actual = model(x), [torch.as_tensor(given) for given in run(x)]
            if all(off(*pair) <= 1e-5 for pair in zip(actual, expected, strict=True)):
                continue
            exact = copy.deepcopy(model).double()(x.double())
        for given, right, true in zip(actual, expected, exact, strict=True):
            assert off(given, true) <= 1e-5, (size, off(right, true))


def off(given, right):
    """Largest difference over largest value."""
    assert given.shape == right.shape
    return float((given - right).abs().max() / right.abs().max())


def in_onnxruntime(file):
    opened = session(file)
    return lambda x: opened.run(None, {'images': x.numpy()})


def in_openvino(file):
    import openvino

    settings = {'INFERENCE_PRECISION_HINT': 'f32', 'INFERENCE_NUM_THREADS': 1}
    compiled = openvino.Core().compile_model(file, 'CPU', settings)
    return lambda x: [compiled(x.numpy())[output].copy() for output in compiled.outputs]


@pytest.mark.parametrize('index, name', list(enumerate(VARIANTS)), ids=VARIANTS)
def test_a_block_alone(tmp_path, index, name):
    """Exported at a small and at a large size in turn, for maps of any."""
    file, block = tmp_path / 'block.onnx', OneBlock(random_block(name, torch.float32).eval())
    options = dict(outputs=['gated'], dynamic=True)
    write_onnx(block, images(*EXPORTED_AT[index % 2]), file, **options)
    run = in_onnxruntime(file)
    assert_right_at([(1, 33, 65), (9, 5, 4), (1, 1, 1), (2, 1, 7), (3, 100, 134)], run, block)


@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize('index, name', list(enumerate(BLOCKS)), ids=BLOCKS)
def test_a_backbone_with_a_pyramid(tmp_path, index, name, depth):
    """By the legacy exporter, and at one depth each as a program of torch.export."""
    backbone = network(name, depth)
    detector = Detector(backbone, stage_channels(depth, 8)).eval()
    features, example = Features(detector, 'features'), images(*EXPORTED_AT[index % 2])
    if (index % 2 == 0) == (depth == 50):  # It takes two seconds.
        program = export_program(features, (example,))
        assert not any('ge_det' in str(node.target) for node in program.graph.nodes)
        assert_right_at(SIZES[:3], program.module(), features)
    file = tmp_path / 'legacy.onnx'
    options = dict(outputs=features.names, dynamic=True, legacy=True)
    write_onnx(features, images(*EXPORTED_AT[1 - index % 2]), file, **options)
    assert_right_at(SIZES, in_onnxruntime(file), features)


@pytest.mark.parametrize('name, depth', [('ge-theta-plus-e8', 18), ('rg-se', 50), ('sge', 50)])
def test_a_backbone_by_the_present_exporter_in_two_engines(tmp_path, name, depth):
    file, stages = tmp_path / 'stages.onnx', Features(network(name, depth), 'backbone')
    write_onnx(stages, images(2, 577, 897), file, outputs=stages.names, dynamic=True)
    assert_right_at(SIZES[:5], in_onnxruntime(file), stages)
    assert_right_at(SIZES[:3], in_openvino(file), stages)


@pytest.mark.parametrize('name', BLOCKS)
def test_a_network_with_blocks_is_pickled(name):
    backbone, x = network(name, 50), images(2, 64, 96)
    again = pickle.loads(pickle.dumps(backbone))
    assert again.execution_plan() == backbone.execution_plan()
    torch.testing.assert_close(again(x), backbone(x), atol=0, rtol=0)


@pytest.mark.parametrize('name', ['se', 'ge-theta-plus-e8'])
def test_a_network_of_torchvision_with_attached_blocks(tmp_path, peers, name):
    from torchvision.models import resnet

    torch.manual_seed(0)
    network = resnet.ResNet(resnet.Bottleneck, [1, 1, 1, 1], num_classes=7, width_per_group=16)
    ge_det.add_attention(network, name)
    network = randomise(network)
    file = tmp_path / 'scores.onnx'
    write_onnx(network, images(2, 96, 128), file, outputs=['scores'], dynamic=True)
    run = in_onnxruntime(file)
    for size in SIZES[:4]:
        with torch.no_grad():
            expected = network(images(*size))
        assert off(torch.as_tensor(run(images(*size))[0]), expected) <= 1e-5, size
