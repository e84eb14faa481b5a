"""The text of a config for a user's own data, from the choices in :mod:`.options`."""

from __future__ import annotations

from pathlib import Path

from ge_det.config_writer.data_text import evaluators, loaders, pipelines
from ge_det.config_writer.detectors import DEFAULT_SCALE, DETECTORS
from ge_det.config_writer.literals import check_name, comment, literal, wrapped
from ge_det.config_writer.model_text import model
from ge_det.config_writer.options import UserConfig
from ge_det.config_writer.schedule_text import schedule
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
    sections = [_head(options, command), _classes(options), _paths(options), model(options)]
    if options.scale != DEFAULT_SCALE:
        sections.append(pipelines(options))
    sections += [loaders(options), evaluators(options), schedule(options), _hooks()]
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
        UserError: If the file exists or is no Python file; the message is one line.
    """
    check_output(out, force)
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
    check_free(out, force)


def check_free(path: Path, force: bool) -> None:
    """Raise a UserError of one line if a file is there that may not be written over."""
    if path.exists() and not force:
        raise UserError(f'{path}: exists already; --force overwrites it')


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


def _hooks() -> str:
    return """
default_hooks = dict(
    checkpoint=dict(save_best='coco/bbox_mAP', max_keep_ckpts=2),
    # It ends when the loss is NaN; --resume goes on as if nothing had interrupted it.
    invalid_loss=dict(type='ge_det.StopAtInvalidLoss'),
    randomness=dict(type='ge_det.ResumableRandomness'),
    resumable=dict(type='ge_det.ResumableCheckpoints'),
    # The page to look at when it has ended.
    report=dict(type='ge_det.WriteReport'),
)
# With figures for TensorBoard, where it is installed.
visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='ge_det.TensorBoard')])
"""
