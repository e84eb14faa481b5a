"""The model of a config: backbone, neck, anchors and heads, narrow ones for a small network."""

from __future__ import annotations

from textwrap import indent

from ge_det.config_writer.detectors import DETECTORS
from ge_det.config_writer.literals import literal
from ge_det.config_writer.options import UserConfig
from ge_det.datasets.coco_kept import DETECTIONS

_NARROW = 'in_channels=64'  # What the neck of a small network puts out.
_REGIONS = 'dict(out_channels=64, finest_scale=28, roi_layer=dict(sampling_ratio=1))'


def model(options: UserConfig) -> str:
    """The backbone as chosen; of neck and heads what differs from mmdet's config."""
    parts = [f'backbone=dict(\n{_lines(_backbone(options))}\n)', _neck(options)]
    if options.detector == 'retinanet':
        parts += _retinanet(options)
    else:
        parts += _two_stages(options)
    parts += _training(options) + _testing(options)
    note = '# A network for a CPU: narrow, with few proposals.\n' if options.small else ''
    return f'{note}model = dict(\n{_lines(parts)}\n)'


def _lines(parts: list[str]) -> str:
    """Arguments one below the other, indented; comments among them."""
    lines = (part if part.startswith('#') else f'{part},' for part in parts)
    return indent('\n'.join(lines), '    ')


def _backbone(options: UserConfig) -> list[str]:
    parts = [
        "type='ge_det.AttentionResNet'",
        f'depth={options.depth}',
        # A dict, so that an option can change the type alone, with mmdet's own tools, too.
        f'attention={literal(dict(type=options.attention))}',
    ]
    if options.base_channels != 64:
        parts.append(f'base_channels={options.base_channels}')
    if options.checkpoint is None:
        note = '# Nothing is pretrained, so nothing may stay frozen.'
        parts += [note] * (options.frozen < 0)
        parts += [f'frozen_stages={options.frozen}', 'norm_eval=False']
        parts += ['zero_init_residual=False'] * options.small
    else:
        parts += [f'frozen_stages={options.frozen}'] * (options.frozen != 1)
        parts.append('# Weights to start from; the log says which gates they fill.')
        parts.append(f'pretrained=dict(checkpoint={literal(options.checkpoint)})')
    return [*parts, 'init_cfg=None']


def _neck(options: UserConfig) -> str:
    channels = f'in_channels={options.stage_channels}'
    if not options.small:
        return f'neck=dict({channels})'
    # From random weights, the box head may not get off the ground without the normalisation.
    norm = "norm_cfg=dict(type='BN', requires_grad=True)"
    if options.detector == 'retinanet':  # Its last maps may be a single position.
        norm = "norm_cfg=dict(type='GN', num_groups=16)"
    return f'neck=dict(\n{_lines([channels, "out_channels=64", norm])}\n)'


def _retinanet(options: UserConfig) -> list[str]:
    parts = ['num_classes=num_classes']
    if options.anchors:
        (scale, *_), ratios = options.anchors
        parts.append(
            f'anchor_generator=dict(octave_base_scale={scale:g}, ratios={literal([*ratios])})'
        )
    if options.small:
        parts += [_NARROW, 'feat_channels=64', 'stacked_convs=2']
    if len(parts) == 1:
        return [f'bbox_head=dict({parts[0]})']
    return [f'bbox_head=dict(\n{_lines(parts)}\n)']


def _two_stages(options: UserConfig) -> list[str]:
    rpn, roi = [], []
    if options.small:
        rpn += [_NARROW, 'feat_channels=64']
        roi.append(f'bbox_roi_extractor={_REGIONS}')
    if options.anchors:
        scales, ratios = (literal([*values]) for values in options.anchors)
        rpn.append(f'anchor_generator=dict(scales={scales}, ratios={ratios})')
    head = [*([_NARROW, 'fc_out_channels=256'] * options.small), 'num_classes=num_classes']
    if options.detector == 'cascade-rcnn':
        roi.append('# The three heads of the cascade.')
        each = f'dict(head, {", ".join(head)})'
        roi.append(f'bbox_head=[\n    {each}\n    for head in _base_.model.roi_head.bbox_head\n]')
    else:
        roi.append(f'bbox_head=dict({", ".join(head)})')
    if DETECTORS[options.detector].masks:
        narrow = [_NARROW, 'conv_out_channels=64', 'num_convs=2'] * options.small
        if options.small:
            roi.append(f'mask_roi_extractor={_REGIONS}')
        roi.append(f'mask_head=dict({", ".join([*narrow, "num_classes=num_classes"])})')
    parts = [f'rpn_head=dict(\n{_lines(rpn)}\n)'] if rpn else []
    return [*parts, f'roi_head=dict(\n{_lines(roi)}\n)']


def _training(options: UserConfig) -> list[str]:
    """Few anchors for a small network, and none of what is to be ignored as background."""
    if not (options.small or options.has_ignored):
        return []
    ignored = ['ignore_iof_thr=0.5'] * options.has_ignored
    lines = ['# What is difficult or a crowd is no background, either.'] * options.has_ignored
    if options.detector == 'retinanet':
        lines.append(_changed(assigner=ignored))
        return [f'train_cfg=dict(\n{_lines(lines)}\n)'] * options.has_ignored
    few = ['num=64'] * options.small
    lines += ['# Few anchors, a fair part of them positive.'] * options.small
    assigner = [*(['pos_iou_thr=0.5'] * options.small), *ignored]
    lines.append(f'rpn=dict({_changed(assigner=assigner, sampler=few)})')
    if options.small:
        lines.append(f'rpn_proposal=dict({_proposals(options)})')
    if options.detector == 'cascade-rcnn':
        each = f'dict(one, {_changed("one", assigner=ignored, sampler=few)})'
        lines.append(f'rcnn=[\n    {each} for one in _base_.model.train_cfg.rcnn\n]')
    else:
        lines.append(f'rcnn=dict({_changed(assigner=ignored, sampler=few)})')
    return [f'train_cfg=dict(\n{_lines(lines)}\n)']


def _changed(base: str = '', **parts: list[str]) -> str:
    """Dicts with changes, those without any left out; of an element of a list, its own in full."""
    return ', '.join(
        f'{name}=dict({", ".join([*([f"{base}[{name!r}]"] * bool(base)), *changes])})'
        for name, changes in parts.items()
        if changes
    )


def _testing(options: UserConfig) -> list[str]:
    """As many detections as the photos hold, out of few proposals of a small network."""
    more = [f'max_per_img={options.detections}'] * (options.detections > DETECTIONS)
    if options.detector == 'retinanet':
        parts = [*([f'nms_pre={3 * options.detections}'] * options.small), *more]
    else:
        parts = [f'rpn=dict({_proposals(options)})'] * options.small
        parts += [f'rcnn=dict({", ".join(more)})'] * bool(more)
    return [f'test_cfg=dict({", ".join(parts)})'] * bool(parts)


def _proposals(options: UserConfig) -> str:
    return f'nms_pre={3 * options.detections}, max_per_img={options.detections}'
