"""How long and how fast a config trains."""

from __future__ import annotations

from ge_det.config_writer.options import UserConfig
from ge_det.words import counted


def schedule(options: UserConfig) -> str:
    """Epochs, learning rate and optimizer."""
    epochs, promised = options.epochs, ''
    if options.minutes is not None:
        promised = f"""
# As ten iterations on the machine that wrote this let expect; `ge-det train` tells it.
promised = dict(minutes={options.minutes:.3g}, epochs={epochs})"""
    lines = [
        f'# {counted(options.num_images, "image")}, '
        f'{counted(options.iterations_per_epoch, "iteration")} an epoch on one device.{promised}',
        f'train_cfg = dict(max_epochs={epochs}, val_interval={options.val_interval})',
        'param_scheduler = [',
        "    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, "
        f'end={options.warmup}),',
        *(_cosine(options) if options.solver == 'adamw' else _steps(options)),
        ']',
        f'# For {counted(options.batch_size, "image")} an iteration; on several devices, '
        '--auto-scale-lr scales it.',
        _optimizer(options),
        f'auto_scale_lr = dict(base_batch_size={options.batch_size})',
    ]
    return '\n'.join(lines)


def _steps(options: UserConfig) -> list[str]:
    if not options.milestones:
        return []
    return [
        '    dict(',
        f"        type='MultiStepLR', by_epoch=True, begin=0, end={options.epochs}, "
        f'milestones={options.milestones}, gamma=0.1',
        '    ),',
    ]


def _cosine(options: UserConfig) -> list[str]:
    epochs = options.epochs
    return [
        '    dict(',
        f"        type='CosineAnnealingLR', by_epoch=True, begin=0, end={epochs}, T_max={epochs},",
        '        convert_to_iter_based=True,',
        '    ),',
    ]


def _optimizer(options: UserConfig) -> str:
    if options.solver == 'sgd':
        return f'optim_wrapper = dict(optimizer=dict(lr={options.learning_rate}))'
    return f"""optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr={options.learning_rate}, weight_decay=0.02),
    clip_grad=dict(max_norm=10, norm_type=2),
)"""
