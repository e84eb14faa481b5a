"""Sizes of pictures from mmdet's batch to the backbone."""

import pytest
import torch
from mmdet.models.test_time_augs import DetTTAModel
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from narrow_detectors import detector
from torch import Tensor

from ge_det.backbones.valid_area_resnet import SIZES_OF_BATCH

CHANGES = {'backbone.valid_area': True, 'data_preprocessor.type': 'ge_det.ValidAreaPreprocessor'}
SIZES = [(64, 48), (50, 96)]


def data(sizes=tuple(SIZES)):
    generator = torch.Generator().manual_seed(1)
    pictures = [
        torch.randint(256, (3, *size), generator=generator, dtype=torch.uint8) for size in sizes
    ]
    samples = []
    for size in sizes:
        sample = DetDataSample(
            metainfo=dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0), img_id=0)
        )
        samples.append(sample)
    return dict(inputs=pictures, data_samples=samples)


def one_of(batch, number):
    return {name: values[number : number + 1] for name, values in batch.items()}


def maps_of_test_step(model, batch):
    """What the backbone gives while a detector tests a batch."""
    kept: list[tuple[Tensor, ...]] = []
    hook = model.backbone.register_forward_hook(lambda module, inputs, maps: kept.append(maps))
    with torch.no_grad():
        model.test_step(batch)
    hook.remove()
    return kept[0]


def worst(model, batch):
    together, worst = maps_of_test_step(model, batch), 0.0
    for number in range(len(SIZES)):
        alone = maps_of_test_step(model, one_of(data(), number))
        for level, own in zip(together, alone, strict=True):
            # Alone a picture is padded too, to a multiple of 32.
            height, width = -(-own.shape[2] // 2), -(-own.shape[3] // 2)
            cut = level[number : number + 1, :, :height, :width]
            own = own[:, :, :height, :width]
            worst = max(worst, float((cut - own).norm() / own.norm()))
    return worst


@pytest.mark.filterwarnings('ignore:valid_area')  # Of making it random.
def test_a_detector_sees_each_picture_by_itself():
    assert worst(detector('faster-rcnn', attention='se', changes=CHANGES), data()) <= 1e-5
    assert worst(detector('faster-rcnn', attention='se'), data()) > 1e-4


def sizes_of(batch, training=False, **options):
    prepare = MODELS.build(
        dict(type='ge_det.ValidAreaPreprocessor', pad_size_divisor=32, **options)
    )
    prepared = prepare(batch, training)
    return tuple(prepared['inputs'].shape[2:]), prepared['inputs'].ge_det_valid_sizes


def test_sizes_are_those_before_padding():
    assert sizes_of(data()) == ((64, 96), SIZES)
    assert sizes_of(dict(inputs=data()['inputs'], data_samples=None)) == ((64, 96), SIZES)
    fixed = [dict(type='BatchFixedSizePad', size=(128, 128))]
    assert sizes_of(data(), True, batch_augments=fixed) == ((128, 128), SIZES)


@pytest.mark.filterwarnings('ignore:valid_area')
def test_the_sizes_come_with_every_view_of_test_time_augmentation():
    views = [data(), data()]
    views[1]['inputs'] = [picture.flip(-1) for picture in views[1]['inputs']]
    for flip, view in enumerate(views):
        for sample in view['data_samples']:
            sample.set_metainfo(dict(flip=bool(flip), flip_direction='horizontal'))
    model = detector('faster-rcnn', attention='se', changes=CHANGES)
    seen = []
    model.backbone.register_forward_pre_hook(
        lambda _, inputs: seen.append(getattr(inputs[0], SIZES_OF_BATCH))
    )
    merging = ConfigDict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=10)
    merged = DetTTAModel(tta_cfg=merging, module=model).test_step(
        {name: [view[name] for view in views] for name in views[0]}
    )
    assert len(merged) == len(SIZES) and seen == [SIZES, SIZES]
