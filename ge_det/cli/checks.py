"""Look at the arguments of a command before it begins its work: clear errors first."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ge_det.cli.build_errors import near_name, wrong_name
from ge_det.cli.screen import show
from ge_det.cli.signals import is_first_process
from ge_det.config_reader import file_instead
from ge_det.errors import UserError, one_line, shown
from ge_det.files import expanded
from ge_det.words import counted

if TYPE_CHECKING:
    from torch import nn


def load_safely() -> None:
    """Have MMEngine read checkpoints as we do, and every ``torch.load`` of this process be safe.

    The latter is torch's default, but some of its callers ask for the unsafe way by themselves. An
    explicit ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD`` of the user is left alone.
    """
    from ge_det.reading.mmengine_loader import register_loader

    register_loader()
    if 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD' not in os.environ:
        os.environ.setdefault('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')


def check_file(path: str | None, what: str) -> None:
    """Raise a UserError if a local file is missing; URLs and None pass."""
    if path is None or '://' in path:
        return
    file = expanded(path)
    if what == 'checkpoint' and file.suffix == '.onnx':
        raise UserError(
            f'{path}: a file of `ge-det export` is no checkpoint; give the one it was made of, or '
            'measure it by `ge-det test --onnx`'
        )
    if file.is_file():
        return
    if path and file.is_dir():
        raise UserError(f'{path}: is a folder; {file_instead(file, what)}')
    raise UserError(f'{path or repr(path)}: no such {what} file; check the path')


def check_new(paths: Sequence[Path], option: str, overwrite: bool) -> None:
    """Raise a UserError where a file that is to be written is there already.

    Args:
        paths (Sequence[Path]): Of files. A pipe or device of such a name is no file to lose.
        option (str): What the user gave them with.
        overwrite (bool): Whether ``--overwrite`` was given, with which all is well.
    """
    there = [path for path in paths if _is_there(path)]
    if there and not overwrite:
        more = f' and {counted(len(there) - 1, "other")} are' if len(there) > 1 else ' is'
        raise UserError(
            f'{shown(there[0])}{more} there already; choose another {option} or add --overwrite'
        )


def _is_there(path: Path) -> bool:
    # Other than Path's, these do not fail at a name that the folder does not take.
    leads_nowhere = os.path.islink(path) and not os.path.exists(path)
    return leads_nowhere or os.path.isfile(path) or os.path.isdir(path)


def check_arguments(args: argparse.Namespace) -> None:
    """Check what mmdet would only stumble over later, with a traceback.

    Args:
        args (argparse.Namespace): Arguments of mmdet's ``train.py`` or ``test.py``.

    Raises:
        UserError: If a file is missing, ``--out`` is no pickle file or cannot be written, or
            ``--amp`` finds no GPU.
    """
    check_file(args.config, 'config')
    check_file(getattr(args, 'checkpoint', None), 'checkpoint')
    resume = getattr(args, 'resume', None)
    check_file(None if resume == 'auto' else resume, 'checkpoint')
    out = getattr(args, 'out', None)
    if out is not None and not out.endswith(('.pkl', '.pickle')):
        raise UserError(f'--out {out}: predictions are pickled, the name must end in .pkl')
    if out is not None:
        check_can_be_written(Path(out))
    if _wants_amp(args) and not _has_amp_device():
        raise UserError('--amp needs a GPU, and none is visible here; leave it out on a CPU')


def check_can_be_written(out: Path) -> None:
    """Raise a UserError now, not when the figures are there and would be lost."""
    try:
        if os.path.lexists(out):  # A pipe would wait for its reader; a link is the user's.
            if out.is_dir():
                raise UserError(f'--out {out}: is a folder; give the name of a file')
            if out.exists() and not os.access(out, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        out.parent.mkdir(parents=True, exist_ok=True)
        out.open('ab').close()
        out.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f'--out {out}: cannot be written ({error.strerror})') from error


@contextmanager
def no_empty_folder(out: Path) -> Iterator[None]:
    """Remove the folder of ``--out`` at the end, where it was not there before and is empty."""
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        yield
    finally:
        with suppress(OSError):  # Of the first that is not empty.
            for folder in new:
                folder.rmdir()


def make_folder(out: Path) -> None:
    """Make the folder of ``--out``; raises a UserError if none can be made there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f'no folder can be made there ({error.strerror}); choose another'
        raise UserError(f'--out {out}: {reason}') from error


def check_data(args: argparse.Namespace) -> None:
    """Raise a UserError if a folder of a classifier's data is missing; URLs pass."""
    from ge_det.config_reader import read_config

    cfg = read_config(args.config, args.cfg_options)
    loaders = ['train_dataloader'] if args.no_validate else ['train_dataloader', 'val_dataloader']
    roots = {name: (cfg.get(name) or {}).get('dataset', {}).get('data_root') for name in loaders}
    missing = {k: v for k, v in roots.items() if v and '://' not in v and not Path(v).is_dir()}
    if missing:
        options = ' '.join(f'{name}.dataset.data_root=FOLDER' for name in missing)
        folder = next(iter(missing.values()))
        raise UserError(f'{folder}: no such data folder; add --cfg-options {options}')


def worker_options(cfg: Any) -> list[str]:
    """Changes that a config needs where ``--cfg-options`` has set ``num_workers=0``.

    torch refuses what is for worker processes where there are none.
    """
    changes = []
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name)
        if isinstance(loader, dict) and loader.get('num_workers') == 0:
            changes += [f'{name}.persistent_workers=False'] * bool(loader.get('persistent_workers'))
            changes += [f'{name}.prefetch_factor=None'] * bool(loader.get('prefetch_factor'))
    return changes


def check_optimizer(cfg: Any) -> None:
    """Raise a UserError if there is no optimizer of that name, of which MMEngine says nothing."""
    from mmengine.registry import OPTIMIZERS

    wrapper = cfg.get('optim_wrapper')
    settings = wrapper.get('optimizer') if isinstance(wrapper, dict) else None
    kind = settings.get('type') if isinstance(settings, dict) else None
    if not isinstance(kind, str):
        return
    # MMEngine looks in the scope of the config first, where mmpretrain has Lamb.
    with OPTIMIZERS.switch_scope_and_registry(cfg.get('default_scope', 'mmdet')) as registry:
        is_there, hint = registry.get(kind) is not None, near_name(kind, registry)
    if not is_there:
        raise UserError(f'optim_wrapper.optimizer.type={kind}: there is no such optimizer{hint}')


def check_model(
    config: str,
    cfg_options: dict[str, Any] | None = None,
    checkpoint: str | None = None,
    is_start: bool = False,
    classes: Sequence[str] = (),
) -> nn.Module | None:
    """Build a config's model without memory, and see that a checkpoint is of that model.

    Args:
        config (str): Path of the config.
        cfg_options (dict, optional): Changes to it. Defaults to None.
        checkpoint (str, optional): Path or URL of a checkpoint. Defaults to None.
        is_start (bool): Whether a training starts, from the checkpoint with its optimizer and all,
            or without one from the weights that the config names. Defaults to False.
        classes (Sequence[str]): Of the config's data, as for a checkpoint. Defaults to ().

    Returns:
        nn.Module | None: The model; None if only memory can hold it.

    Raises:
        UserError: If the model has a wrong argument, or the weights are of another model.
    """
    from ge_det.cli.preflight import build_without_memory, check_start, check_takes_pictures
    from ge_det.weights.whole_model import check_fits

    try:
        model = build_without_memory(config, cfg_options)
        check_takes_pictures(model, config, cfg_options)
        _tell_of_padding(model)
        if checkpoint is not None:
            check_fits(model, checkpoint, classes, resumes=is_start)
        elif is_start:
            check_start(model, config, cfg_options)
        return model
    except ValueError as error:
        raise UserError(one_line(error)) from error
    except Exception as error:  # A model of others that the meta device cannot hold, say.
        if wrong := wrong_name(error):
            raise UserError(f'{config}: {wrong}') from error
        reason = f'{type(error).__name__}: {one_line(error)}'
        show(f'the model is not checked beforehand ({reason})')
        return None


def _tell_of_padding(model: Any) -> None:
    """Say that nothing hands ``valid_area=True`` the sizes: its warning is for the log only."""
    from mmdet.models import DetDataPreprocessor

    from ge_det.backbones import ValidAreaPreprocessor

    prepare = getattr(model, 'data_preprocessor', None)
    is_told = isinstance(prepare, ValidAreaPreprocessor)
    if not isinstance(prepare, DetDataPreprocessor) or is_told or not is_first_process():
        return
    if getattr(getattr(model, 'backbone', None), 'valid_area', False):
        print(
            'note: backbone.valid_area=True has no effect, and gates see the padding; add '
            'model.data_preprocessor.type=ge_det.ValidAreaPreprocessor',
            file=sys.stderr,
        )


def _wants_amp(args: argparse.Namespace) -> bool:
    options = getattr(args, 'cfg_options', None) or {}
    return getattr(args, 'amp', False) or options.get('optim_wrapper.type') == 'AmpOptimWrapper'


def _has_amp_device() -> bool:
    from mmengine.device import get_device

    return get_device() not in ('cpu', 'mps')  # What MMEngine's AmpOptimWrapper refuses.
