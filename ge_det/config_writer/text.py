"""The text of a config for a user's own data, from the choices in :mod:`.options`."""

from __future__ import annotations

from pathlib import Path

from ge_det.config_writer.detectors import DEFAULT_SCALE, DETECTORS
from ge_det.config_writer.literals import check_name, comment, literal, wrapped
from ge_det.config_writer.options import UserConfig
from ge_det.datasets.coco_file import PathType
from ge_det.errors import UserError
from ge_det.files import write_whole

_PALETTE_COLOURS = 80  # mmdet draws with COCO's palette, one colour a class.


def config_text(options: UserConfig, command: str = '') -> str:
    """Write a config as text.

    Args:
        options (UserConfig): What to write.
        command (str): The command line that asked for it, kept in a comment. Defaults to ''.

    Returns:
        str: A Python config for MMEngine.
    """
    sections = [_head(options, command), _classes(options), _paths(options), _model(options)]
    if options.scale != DEFAULT_SCALE:
        sections.append(_pipelines(options))
    sections += [_loaders(options), _evaluators(options), _schedule(options), _hooks()]
    return '\n\n'.join(section.strip('\n') for section in sections) + '\n'


def write_config(
    options: UserConfig, out: PathType, command: str = '', force: bool = False
) -> Path:
    """Write a config file.

    Args:
        options (UserConfig): What to write.
        out (str | PathLike): The file, ending in ``.py``; missing folders are made.
        command (str): See :func:`config_text`. Defaults to ''.
        force (bool): Whether an existing file may be overwritten. Defaults to False.

    Returns:
        Path: The file.

    Raises:
        UserError: If the file exists or is no Python file, or if weights to start from are not
            there; the message is one line.
    """
    check_output(out, force)
    check_start(options)
    out = Path(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, config_text(options, command).encode('utf-8'))
    except OSError as error:
        raise UserError(f'{out}: cannot be written ({error}); give another --out') from error
    return out


def check_output(out: PathType, force: bool) -> None:
    """Raise a UserError of one line if a config may not be written to this path."""
    out = Path(out)
    check_name('the name of the config', out.name)  # Becomes the name of the work dir.
    if out.suffix != '.py':
        raise UserError(f'{out}: the name of a config must end in .py')
    if out.exists() and not force:
        raise UserError(f'{out}: exists already; --force overwrites it')


def check_start(options: UserConfig) -> None:
    """Raise a UserError of one line if weights to start from are not there."""
    checkpoint = options.checkpoint
    if checkpoint and '://' not in checkpoint and not Path(checkpoint).is_file():
        raise UserError(f'{checkpoint}: no such file of weights; check --pretrained')


def _head(options: UserConfig, command: str) -> str:
    gate = '' if options.attention == 'none' else f' with {options.attention} attention'
    title = f'{DETECTORS[options.detector].title} on a ResNet-{options.depth}{gate}'
    # Python takes a comment in the first two lines for a declaration if it holds "coding:".
    lines = [f'# {title}, for data of your own.', '# Edit it as you like.']
    if command:
        lines.append(comment(f'Written by: {command}'))
    lines.append(f"_base_ = 'mmdet::{DETECTORS[options.detector].base}'")
    return '\n'.join(lines)


def _classes(options: UserConfig) -> str:
    listed = wrapped(options.classes)
    metainfo = 'dict(classes=classes)'
    if len(options.classes) > _PALETTE_COLOURS:
        metainfo = "dict(classes=classes, palette=None)  # COCO's palette is too short."
    return f"""
# The classes in the order of the COCO files. Everything about them below follows from here.
classes = {listed}
num_classes = len(classes)
metainfo = {metainfo}
"""


def _paths(options: UserConfig) -> str:
    return f"""
# Absolute paths, so that training can be started in any folder.
train_json = {literal(options.train_json)}
val_json = {literal(options.val_json)}
train_images = {literal(options.train_images)}
val_images = {literal(options.val_images)}
"""


def _model(options: UserConfig) -> str:
    backbone = [
        "type='ge_det.AttentionResNet'",
        f'depth={options.depth}',
        f'attention={literal(options.block)}',
    ]
    if options.base_channels != 64:
        backbone.append(f'base_channels={options.base_channels}')
    if options.checkpoint is None:
        backbone.append('# Nothing is pretrained, so nothing may stay frozen.')
        backbone += ['frozen_stages=-1', 'norm_eval=False']
    else:
        backbone.append('# Weights to start from; the log says which gates they fill.')
        backbone.append(f'pretrained=dict(checkpoint={literal(options.checkpoint)})')
    backbone.append('init_cfg=None')
    inner = '\n'.join(f'        {line}{"" if line[0] == "#" else ","}' for line in backbone)
    return f"""
model = dict(
    backbone=dict(
{inner}
    ),
    neck=dict(in_channels={options.stage_channels}),
    {_heads(options.detector)},
)
"""


def _heads(detector: str) -> str:
    if detector == 'retinanet':
        return 'bbox_head=dict(num_classes=num_classes)'
    if detector == 'cascade-rcnn':
        return """roi_head=dict(
        # The three heads of the cascade.
        bbox_head=[
            dict(head, num_classes=num_classes) for head in _base_.model.roi_head.bbox_head
        ]
    )"""
    heads = ['bbox_head', 'mask_head'] if DETECTORS[detector].masks else ['bbox_head']
    inner = '\n'.join(f'        {head}=dict(num_classes=num_classes),' for head in heads)
    return f'roi_head=dict(\n{inner}\n    )'


def _pipelines(options: UserConfig) -> str:
    masks = ', with_mask=True' if DETECTORS[options.detector].masks else ''
    return f"""
# Images are resized to fit into this width and height.
scale = {options.scale}
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True{masks}),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True{masks}),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
"""


def _loaders(options: UserConfig) -> str:
    pipelines = ['\n        pipeline=train_pipeline,', '\n        pipeline=test_pipeline,']
    train_pipeline, test_pipeline = pipelines if options.scale != DEFAULT_SCALE else ('', '')
    workers = f'num_workers={options.workers},'
    if options.workers == 0:
        workers += '\n    persistent_workers=False,'
    return f"""
train_dataloader = dict(
    batch_size={options.batch_size},
    {workers}
    dataset=dict(
        data_root='',
        metainfo=metainfo,
        ann_file=train_json,
        data_prefix=dict(img=train_images),
        # Images without any box are left out; small ones are not (mmdet's limit is 32 pixels).
        filter_cfg=dict(filter_empty_gt=True, min_size=1),{train_pipeline}
    ),
)
val_dataloader = dict(
    {workers}
    dataset=dict(
        data_root='',
        metainfo=metainfo,
        ann_file=val_json,
        data_prefix=dict(img=val_images),{test_pipeline}
    ),
)
test_dataloader = val_dataloader
"""


def _evaluators(options: UserConfig) -> str:
    metric = ['bbox', 'segm'] if DETECTORS[options.detector].masks else 'bbox'
    return f"""
val_evaluator = dict(ann_file=val_json, metric={literal(metric)}, classwise=True)
test_evaluator = val_evaluator
"""


def _schedule(options: UserConfig) -> str:
    epochs, milestones = options.num_epochs, options.milestones
    steps = ''
    if milestones:
        steps = f"""
    dict(
        type='MultiStepLR', by_epoch=True, begin=0, end={epochs}, milestones={milestones}, gamma=0.1
    ),"""
    return f"""
# {options.num_images} images are {options.iterations_per_epoch} iterations an epoch on one device.
train_cfg = dict(max_epochs={epochs}, val_interval=1)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end={options.warmup}),{steps}
]
# For {options.batch_size} images an iteration; on several devices, --auto-scale-lr scales it.
optim_wrapper = dict(optimizer=dict(lr={options.learning_rate}))
auto_scale_lr = dict(base_batch_size={options.batch_size})
"""


def _hooks() -> str:
    return """
default_hooks = dict(
    checkpoint=dict(save_best='coco/bbox_mAP', max_keep_ckpts=2),
    # It ends when the loss is NaN; --resume goes on as if nothing had interrupted it.
    invalid_loss=dict(type='ge_det.StopAtInvalidLoss'),
    randomness=dict(type='ge_det.ResumableRandomness'),
    resumable=dict(type='ge_det.ResumableCheckpoints'),
)
"""
