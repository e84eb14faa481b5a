"""Detectors of each kind, a few channels wide, random, that find some twenty things."""

import warnings
from functools import cache

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine.config import Config
from random_networks import randomise
from torch import nn

from ge_det.catalogue import attention_config

KINDS = ('faster-rcnn', 'mask-rcnn', 'cascade-rcnn', 'cascade-mask-rcnn', 'retinanet')
"""By the names of mmdet's files."""

CLASSES = 3
WIDTH = 16


@cache
def model_config(kind):
    name = dict(retinanet='retinanet_r50_fpn').get(kind, f'{kind}_r50_fpn')
    return Config.fromstring(f"_base_ = 'mmdet::_base_/models/{name}.py'", '.py').model


def block(name):
    """The config of a block by its short name, for eight channels."""
    if name is None:
        return None
    config = dict(attention_config(name))
    if name == 'sge':
        config['groups'] = 4
    elif not name.startswith(('ge-theta-minus', 'ge-theta-e')) and name != 'ge-theta':
        config['ratio'] = 4
    return config


def narrow(kind, depth=18, attention=None):
    """The config of a narrow detector."""
    config = Config(dict(model=model_config(kind))).copy().model
    expansion = 1 if depth < 50 else 4
    config.backbone = dict(
        type='ge_det.AttentionResNet', depth=depth, base_channels=8, attention=block(attention)
    )
    channels = [8 * expansion * 2**stage for stage in range(4)]
    config.neck.update(in_channels=channels, out_channels=WIDTH)
    if kind == 'retinanet':
        config.bbox_head.update(
            num_classes=CLASSES, in_channels=WIDTH, feat_channels=WIDTH, stacked_convs=1
        )
        config.test_cfg.update(nms_pre=100, max_per_img=40, score_thr=0.97)
        return config
    config.rpn_head.update(in_channels=WIDTH, feat_channels=WIDTH)
    roi_head = config.roi_head
    roi_head.bbox_roi_extractor.update(out_channels=WIDTH)
    cascade = isinstance(roi_head.bbox_head, list)
    for head in roi_head.bbox_head if cascade else [roi_head.bbox_head]:
        head.update(in_channels=WIDTH, fc_out_channels=32, num_classes=CLASSES)
    if 'mask_head' in roi_head:
        roi_head.mask_roi_extractor.update(out_channels=WIDTH)
        roi_head.mask_head.update(
            num_convs=1, in_channels=WIDTH, conv_out_channels=8, num_classes=CLASSES
        )
    config.test_cfg.rpn.update(nms_pre=100, max_per_img=60)
    config.test_cfg.rcnn.update(max_per_img=30, score_thr=0.5)
    return config


def detector(kind, depth=18, attention=None, changes=None):
    """A random one in evaluation.

    Args:
        kind (str): Of KINDS.
        depth (int): Of its ResNet.
        attention (str): Short name of its block.
        changes (dict): Of its config, by dotted names.
    """
    register_all_modules(init_default_scope=True)
    config = Config(narrow(kind, depth, attention).to_dict())
    config.merge_from_dict(changes or {})
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        built = MODELS.build(config._cfg_dict)
    randomise(built.backbone)
    spread(built)
    return built.eval()


# By how much what the last layers put out varies: a random network's scores are all alike.
SPREAD = dict(
    rpn_cls=0.6,  # Other levels put out far more, and scores of 1 have no order.
    rpn_reg=0.4,
    fc_cls=1.5,
    fc_reg=1.0,
    retina_cls=1.0,
    retina_reg=0.4,
    conv_logits=2.0,
)


@torch.no_grad()
def spread(built):
    """Scale the last layers by what they put out at first, so that some things are found."""

    def scale(layer, inputs, output):
        handles.pop(layer).remove()  # RetinaNet's levels share it.
        dims = [axis for axis in range(output.dim()) if axis != 1]
        std, mean = torch.std_mean(output, dims)
        factor = SPREAD[names[layer]] / std.clamp(min=1e-6)
        layer.weight.mul_(factor.view(-1, *[1] * (layer.weight.dim() - 1)))
        layer.bias.copy_((layer.bias - mean) * factor)
        return layer.forward(*inputs)

    names = {layer: name.rpartition('.')[2] for name, layer in built.named_modules()}
    handles = {
        layer: layer.register_forward_hook(scale) for layer in names if names[layer] in SPREAD
    }
    built.eval()
    predict(built, pictures((2, 96, 128)), torch.tensor([[96, 128], [96, 128]]))
    assert not handles


def pictures(shape, seed=1):
    """Random ones: (N, 3, H, W) of (N, H, W), smooth enough to have things of any size."""
    generator = torch.Generator().manual_seed(seed)
    count, height, width = shape
    coarse = torch.randn(count, 3, max(2, height // 12), max(2, width // 12), generator=generator)
    fine = torch.randn(count, 3, height, width, generator=generator)
    smooth = nn.functional.interpolate(coarse, (height, width), mode='bilinear')
    return smooth + fine / 2


def padded(images, sizes):
    """The pictures with zeros beyond their own sizes, as a batch is padded."""
    images = images.clone()
    for image, (height, width) in zip(images, sizes.tolist(), strict=True):
        image[:, height:] = 0
        image[:, :, width:] = 0
    return images


@torch.no_grad()
def predict(built, images, sizes):
    """mmdet's own detections: an InstanceData a picture."""
    samples = []
    for height, width in sizes.tolist():
        meta = dict(img_shape=(height, width), ori_shape=(height, width), scale_factor=(1.0, 1.0))
        samples.append(DetDataSample(metainfo=meta))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # mmdet's merging of a cascade's masks.
        return [one.pred_instances for one in built.predict(images, samples, rescale=False)]
