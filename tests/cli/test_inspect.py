"""`ge-det inspect` on a tiny detector with SGE: the page, and errors in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import exit_code
from html_page import Page
from PIL import Image

pytest.importorskip('mmdet')

from mmengine.config import Config

from ge_det.cli.inspect_gates import _is_detector


@pytest.fixture(scope='module')
def detector(tmp_path_factory):
    from tiny_detector import narrow_detector

    return narrow_detector(tmp_path_factory.mktemp('detector'))


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Five pictures and one that is none, and the COCO file of two of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    folder = tmp_path / 'ph'
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (5, 32, 48, 3), dtype=np.uint8)
    for number, one in enumerate(pixels):
        Image.fromarray(one).save(folder / f'{number}.png')
    images = [dict(id=n, file_name=f'{n}.png', width=48, height=32) for n in range(2)]
    objects = [
        dict(id=n, image_id=n, category_id=3 + n, bbox=[4, 4, 20, 16], area=320, iscrowd=0)
        for n in range(2)
    ]
    names = [dict(id=3, name='disc'), dict(id=4, name='ring')]
    content = dict(images=images, annotations=objects, categories=names)
    (tmp_path / 'val.json').write_text(json.dumps(content))
    return folder


def inspect(detector: Path, *arguments: object) -> int:
    return exit_code('inspect', detector / 'my.py', detector / 'my_1.pth', *arguments)


def test_a_folder_of_pictures(detector, photos, capsys):
    Image.new('RGB', (900, 1)).save(photos / '8.png')  # Resized, nothing would be left of it.
    (photos / '9.png').write_bytes(b'no picture')
    assert inspect(detector, photos, '--out', 'in', '--shown', 1) == 1
    page = Page(Path('in/index.html'))
    assert all(one.startswith('data:') for one in page.loads)
    for text in ('The gates', 'Where gates are open', 'Gate maps of 0.png', 'give a COCO file',
                 'None of the 8 gates has moved from its start'):  # fmt: skip
        assert text in page.text
    numbers = json.loads(Path('in/numbers.json').read_text())
    assert numbers['pictures'] == 5
    assert sorted(numbers['figures']) == sorted(one.name for one in Path('in/figures').iterdir())
    gates = next(one for one in numbers['figures'].values() if one['title'] == 'Gates by unit')
    assert gates['backbone.layer1.0.sge']['constant'] is True
    shown = capsys.readouterr()
    assert '8 gates, 5 pictures in' in shown.out and 'inspect: in/index.html' in shown.out
    lines = [line for line in shown.err.splitlines() if 'skipped' in line]
    assert '8.png: the test pipeline fails on it, 1x900 (' in lines[0]
    assert lines[0].endswith(')') and '9.png: no picture' in lines[1] and len(lines) == 2

    before = Path('in/index.html').read_bytes()
    assert inspect(detector, photos, '--out', 'in') == 2
    assert 'index.html and 2 others are there already' in capsys.readouterr().err
    assert Path('in/index.html').read_bytes() == before


def test_a_coco_file(detector, photos, capsys):
    arguments = ('val.json', '--folder', 'ph', '--out', 'in', '--importance', 'layer1.0')
    assert inspect(detector, *arguments, '--shown', 1, '--score-thr', 0) == 0
    found = json.loads(Path('in/numbers.json').read_text())['figures'].values()
    figures = {one['title']: one for one in found}
    assert {'disc', 'ring'} < set(figures['Excitation by class']['backbone.layer4.1.sge'])
    assert 'backbone.layer4.1' in figures['Class selectivity of units']
    (pruned,) = (one for one in figures['Feature importance'].values() if isinstance(one, dict))
    assert pruned['ascending'][-1] == pruned['descending'][-1]
    assert 'What detections follow from' in Page(Path('in/index.html')).text
    shown = capsys.readouterr().out
    assert 'Average Precision' not in shown
    assert inspect(detector, 'val.json', '--out', 'other') == 2
    told = capsys.readouterr().err
    assert told.startswith('inspect: val.json: its pictures, such as 0.png, are not beside')
    assert not Path('other').exists()


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['nowhere', '--out', 'in'], 'nowhere: no such image or folder'),
        (['ph', 'val.json', '--out', 'in'], 'give one COCO file, or pictures and folders'),
        (['ph', '--out', 'in', '--folder', 'ph'], '--folder goes with a COCO file'),
        (['ph', '--out', 'in', '--score-thr', '2'], '--score-thr 2.0: scores lie between 0 and 1'),
        (['ph', '--out', 'val.json'], 'is a file; give a folder'),
        (['ph', '--out', 'in', '--importance'], '--importance measures the network: give a COCO'),
        (['empty.json', '--out', 'in'], 'empty.json: the list of images is empty'),
        (['val.json', '--folder', 'ph', '--out', 'in', '--importance', '9'], 'no unit with a gate'),
        (['ph', '--out', 'in', '--plain', '{}/my.py', '{}/my_1.pth'], 'its network has gates'),
        (['ph', '--out', 'in', '--most', '0'], '--most 0: give at least 1'),
    ],
)
def test_wrong_arguments(detector, photos, capsys, arguments, told):
    Path('empty.json').write_text('{"images": [], "annotations": [], "categories": []}')
    assert inspect(detector, *(one.format(detector) for one in arguments)) == 2
    assert not Path('in').exists()
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_units_are_chosen_by_the_ends_of_their_names():
    from ge_det.cli.inspecting.labelled import _chosen
    from ge_det.errors import UserError

    names = [f'backbone.layer{stage}.{unit}.sge' for stage in (1, 2) for unit in (0, 1)]
    assert _chosen(names, []) == ['backbone.layer1.1.sge', 'backbone.layer2.1.sge']
    assert _chosen(names, ['layer2.0', 'backbone.layer1.0']) == [names[2], names[0]]
    with pytest.raises(
        UserError, match='--importance 1.9: no unit with a gate; there are layer1.0, layer1.1, '
    ):
        _chosen(names, ['1.9'])
    assert _chosen(names, ['layer2.0', 'layer2.0']) == [names[2]]
    with pytest.raises(UserError, match='--importance 0: no unit'):
        _chosen(names, ['0'])


class Oracle:
    """Finds a disc in 0.png and a ring in 1.png, as drawn."""

    names = ('disc', 'bar', 'ring')

    def __init__(self) -> None:
        self.model = self

    def read(self, path):
        return path

    def batch(self, path):
        from mmdet.structures import DetDataSample

        return dict(inputs=[], data_samples=[DetDataSample(metainfo=dict(ori_shape=(32, 48)))])

    def test_step(self, batch):
        import torch
        from mmengine.structures import InstanceData

        for sample in batch['data_samples']:
            sample.pred_instances = InstanceData(
                bboxes=torch.tensor([[4.0, 4, 24, 20]]),
                scores=torch.tensor([0.9]),
                labels=torch.tensor([(0, 2)[sample.img_id]]),
            )
        return batch['data_samples']


@pytest.mark.parametrize('order', [('ring', 'disc', 'bar'), ('ring', 'disc'), ('disc', 'ring')])
def test_ap_is_by_the_names_of_classes(photos, tmp_path, order):
    """In whatever order the file has them, and with those alone that have boxes."""
    from ge_det.cli.inspecting.labelled import _precision
    from ge_det.cli.inspecting.pictures import find_photos

    content = json.loads(Path('val.json').read_text())
    ids = dict(disc=3, ring=4, bar=1)
    content['categories'] = [dict(id=ids[name], name=name) for name in order]
    Path('val.json').write_text(json.dumps(content))
    found = find_photos(['val.json'], 'ph', tmp_path / 'in', 9, False)
    (tmp_path / 'ap').mkdir()
    assert _precision(Oracle(), found, tmp_path / 'ap')() == pytest.approx(100)


def test_a_plain_detector_of_other_classes_is_told_before_anything_is_measured(photos, tmp_path):
    from torch import nn

    from ge_det import SpatialGroupEnhance
    from ge_det.cli.inspecting.labelled import check_importance
    from ge_det.cli.inspecting.pictures import find_photos
    from ge_det.errors import UserError
    from ge_det.inspect.networks import Detector

    found = find_photos(['val.json'], 'ph', tmp_path / 'in', 9, False)
    network, plain = (Detector.__new__(Detector) for _ in range(2))
    unit = nn.ModuleDict({'sge': SpatialGroupEnhance(64)})
    network.model = nn.ModuleDict({'layer1': nn.Sequential(unit)})
    network.names, plain.names = ('disc', 'ring'), ('disc',)
    check_importance(network, None, found, [])
    with pytest.raises(UserError, match="the detector has no class 'ring'"):
        check_importance(network, plain, found, [])


def test_no_picture_that_can_be_read(detector, photos, capsys):
    (photos / '9.png').write_bytes(b'no picture')
    assert inspect(detector, photos / '9.png', '--out', 'new/in') == 2
    assert capsys.readouterr().err.endswith('); give at least one that can\n')
    assert not Path('new').exists()
    Path('there').mkdir()
    assert inspect(detector, photos / '9.png', '--out', 'there') == 2
    assert Path('there').exists()


@pytest.mark.usefixtures('peers')
def test_a_classifier(photos, capsys):
    """Its classes are the folders of the pictures."""
    import torch

    from ge_det.cli.preflight import build_without_memory

    for number in range(4):
        folder = photos / ('cat', 'dog')[number % 2]
        folder.mkdir(exist_ok=True)
        (photos / f'{number}.png').rename(folder / f'{number}.png')
    (photos / '4.png').unlink()
    Path('cls.py').write_text("""
default_scope = 'mmpretrain'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='ge_det.AttentionResNet', depth=18, base_channels=8, out_indices=(3,),
                  attention=dict(type='ge_det.SqueezeExcite', ratio=4)),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', in_channels=64, num_classes=2, topk=(1,)),
)
data_preprocessor = dict(num_classes=2, mean=[128, 128, 128], std=[64, 64, 64], to_rgb=True)
test_dataloader = dict(dataset=dict(
    type='CustomDataset', metainfo=dict(classes=('dog', 'cat')),
    pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')]))
""")
    model = build_without_memory('cls.py').to_empty(device='cpu')
    torch.manual_seed(0)
    model.init_weights()
    for name, buffer in model.named_buffers():
        buffer.fill_(1.0 if name.endswith('running_var') else 0.0)
    torch.save(dict(state_dict=model.state_dict(), meta={}), 'cls.pth')
    arguments = ('cls.py', 'cls.pth', 'ph', '--out', 'in', '--importance', 'layer4.1')
    assert exit_code('inspect', *arguments) == 0, capsys.readouterr().err
    found = json.loads(Path('in/numbers.json').read_text())['figures'].values()
    figures = {one['title']: one for one in found}
    assert {'cat', 'dog'} < set(figures['Excitation by class']['backbone.layer4.1.se_layer'])
    assert 'backbone.layer4.1' in figures['Class selectivity of units']
    pruned = figures['Feature importance']['backbone.layer4.1.se_layer']
    assert set(pruned['ascending']) <= {0, 25, 50, 75, 100}
    capsys.readouterr()
    assert exit_code('inspect', 'cls.py', 'cls.pth', 'val.json', '--out', 'other') == 2
    told = capsys.readouterr().err
    assert told == (
        'inspect: val.json: a classifier takes a folder with one folder of pictures for each '
        'class\n'
    )


class ImageClassifier:
    """As a config with classes for types has it."""

    __module__ = 'mmpretrain.models.classifiers.image'


@pytest.mark.parametrize(
    'kind, scope, is_one',
    [
        ('FasterRCNN', {}, True),
        ('FasterRCNN', dict(default_scope='mmdet'), True),
        ('ImageClassifier', dict(default_scope='mmpretrain'), False),
        (ImageClassifier, dict(default_scope=None), False),
        ('mmpretrain.models.classifiers.image.ImageClassifier', {}, False),
        ('mmdet.models.detectors.faster_rcnn.FasterRCNN', dict(default_scope=None), True),
    ],
)
def test_what_a_config_is_of(kind, scope, is_one):
    assert _is_detector(Config(dict(model=dict(type=kind), **scope))) == is_one
