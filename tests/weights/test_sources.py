"""From model names and foreign parameter names to ours."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from ge_det import AttentionResNet, SqueezeExcite
from ge_det.errors import CheckpointError
from ge_det.weights.importing import PretrainedOptions, import_pretrained
from ge_det.weights.sources import SOURCES, guess_source, locate

GOLDEN = Path(__file__).parent / 'pytorchinsight_sge_resnet50.txt'
SGE = dict(type='ge_det.SpatialGroupEnhance')
SE = dict(type='ge_det.SqueezeExcite')


def golden_state(with_counters=True):
    """Tensors of the SGE authors' file: names and shapes from the list, values random."""
    state = {}
    for line in GOLDEN.read_text().splitlines():
        key, *shape = line.split()
        shape = tuple(map(int, shape))
        if key.endswith('num_batches_tracked'):
            if with_counters:
                state[key] = torch.tensor(7)
        elif key.endswith('running_var'):
            state[key] = torch.rand(shape) + 0.5
        else:
            state[key] = torch.randn(shape) / 10
    return state


@pytest.mark.parametrize('with_counters', [True, False])
def test_sge_authors_file(with_counters, tmp_path):
    state = golden_state(with_counters)
    path = tmp_path / 'sge_resnet50.pth.tar'
    content = dict(epoch=98, state_dict=state, acc=77.5, best_acc=77.584, optimizer={})
    torch.save(content, path, _use_new_zipfile_serialization=False)  # torch 1.x wrote it
    backbone = AttentionResNet(50, attention=SGE, pretrained=dict(
        source='pytorchinsight', checkpoint=str(path)))  # fmt: skip
    backbone.init_weights()
    report = backbone.load_report
    assert report.missing_trunk == []
    assert report.wrong_shape == {}
    assert report.unexpected == ['fc.weight', 'fc.bias']
    assert report.parameter_share == 1.0
    assert len(report.loaded_gates) == 16
    for key, value in backbone.state_dict().items():
        if with_counters or 'num_batches_tracked' not in key:
            torch.testing.assert_close(value, state[f'module.{key}'], rtol=0, atol=0)


def test_se_authors_linear_layers_are_convolutions(tmp_path):
    class LinearSE(nn.Module):
        """The maths of SE on the layers of the authors' file."""

        def __init__(self, channels):
            super().__init__()
            self.fc = nn.Sequential(
                nn.Linear(channels, channels // 16),
                nn.ReLU(),
                nn.Linear(channels // 16, channels),
                nn.Sigmoid(),
            )

        def forward(self, x):
            return x * self.fc(x.mean((2, 3)))[:, :, None, None]

    gate, prefix = LinearSE(64), 'module.layer1.0.se.'
    state = {prefix + key: value for key, value in gate.state_dict().items()}
    assert guess_source(state).name == 'pytorchinsight'
    plain = {key.removeprefix('module.'): value for key, value in state.items()}
    renamed = SOURCES['pytorchinsight'].rename(plain)
    ours = SqueezeExcite(64)
    ours.load_state_dict(
        {key.removeprefix('layer1.0.se_layer.'): value for key, value in renamed.items()}
    )
    x = torch.randn(2, 64, 5, 7)
    torch.testing.assert_close(ours(x), gate(x))


@pytest.mark.parametrize(
    ('source', 'name', 'ending'),
    [
        ('mmpretrain', 'resnet50_8xb32_in1k', '/resnet50_8xb32_in1k_20210831-ea4938fc.pth'),
        ('mmpretrain', 'seresnet101_8xb32_in1k', '-ba5b51d4.pth'),
        ('torchvision', 'resnet50', '/resnet50-0676ba61.pth'),
        ('torchvision', 'torchvision://resnet101', '/resnet101-63fe2227.pth'),
        ('torchvision', 'ResNet50_Weights.IMAGENET1K_V2', '/resnet50-11ad3fa6.pth'),
        ('timm', 'legacy_seresnet50.in1k', '/se_resnet50-ce0d4300.pth'),
        ('timm', 'resnet50.a1_in1k', '/timm/resnet50.a1_in1k/resolve/main/model.safetensors'),
        ('timm', 'timm/seresnet50.ra2_in1k', '/timm/seresnet50.ra2_in1k/resolve/main/model.saf'),
        ('timm', 'hf_hub:timm/resnet18.tv_in1k', '/timm/resnet18.tv_in1k/resolve/main/model.saf'),
    ],
)
def test_model_names(source, name, ending):
    assert ending in SOURCES[source].locate(name)
    if not name.startswith(('timm/', 'hf_hub:')):
        assert locate(name) == SOURCES[source].locate(name)  # without naming the source


@pytest.mark.parametrize(
    ('source', 'name', 'message'),
    [
        ('mmpretrain', 'resnet50_8xb32_in1', 'did you mean resnet50_8xb32_in1k'),
        ('torchvision', 'resnet51', 'did you mean resnet5'),
        ('timm', 'resnet50', 'did you mean resnet50.a1_in1k'),
        ('pytorchinsight', 'sge_resnet50', 'download the .pth.tar'),
        ('ge_det', 'best', 'no such file'),
        (None, 'nonsense', 'neither a file nor a model'),
        (None, 'resnet50.imagenet1k_v3', 'did you mean resnet50.imagenet1k_v2'),
    ],
)
def test_unknown_names_name_the_way_out(source, name, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        SOURCES[source].locate(name) if source else locate(name)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('path', ['missing.pth', './missing', 'folder/missing', '~/missing.pth'])
def test_paths_are_not_taken_for_names(path):
    assert locate(path) == path


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            dict(source='caffe', checkpoint='x.pth'),
            "source='caffe' is not allowed.*mmpretrain, tor",
        ),
        (dict(preserve_function=1, checkpoint='x.pth'), 'preserve_function=1 is not allowed'),
        (dict(strict='no', checkpoint='x.pth'), "strict='no' is not allowed"),
        (dict(source='timm'), 'the key checkpoint'),
        (dict(checkpoint='x.pth', prefix='a'), 'does not take prefix'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        PretrainedOptions.parse(options)


def test_a_wrong_source_is_named(tmp_path):
    own = AttentionResNet(50, attention=SE, base_channels=16).state_dict()
    timm = {re.sub(r'se_layer\.conv(\d)\.conv', r'se.fc\1', key): v for key, v in own.items()}
    torch.save(timm, tmp_path / 'x.pth')
    backbone = AttentionResNet(50, attention=SE, base_channels=16)
    with pytest.raises(CheckpointError, match="its names are those of source='timm'"):
        import_pretrained(backbone, str(tmp_path / 'x.pth'), source='torchvision')


def test_an_unknown_prefix_is_found_and_an_ambiguous_one_refused(tmp_path):
    own = AttentionResNet(18, base_channels=16).state_dict()
    torch.save({f'encoder.{key}': value for key, value in own.items()}, tmp_path / 'one.pth')
    report = import_pretrained(
        AttentionResNet(18, base_channels=16), str(tmp_path / 'one.pth'), preserve_function=False
    )
    assert report.parameter_share == 1.0
    both = {f'{name}.{key}': value for name in ('left', 'right') for key, value in own.items()}
    torch.save(both, tmp_path / 'two.pth')
    with pytest.raises(CheckpointError, match="several networks; say which by key='left' or key="):
        import_pretrained(AttentionResNet(18, base_channels=16), str(tmp_path / 'two.pth'))
