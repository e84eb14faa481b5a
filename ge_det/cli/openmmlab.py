"""Run mmdet's own command-line tools, with clear errors first and safe loading of checkpoints.

``tools/train.py`` and ``tools/test.py`` are mmdet's scripts by construction, flags included: the
script that mmdet was installed with is found and run. Nothing of it is copied. So is mmpretrain's,
for classifiers, by ``tools/train_classifier.py``.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ge_det.errors import UserError


def find_script(name: str, package: str = 'mmdet') -> Path:
    """Path of one of mmdet's or mmpretrain's tools.

    Args:
        name (str): Its name without suffix, such as ``'train'``.
        package (str): Whose tool it is. Defaults to 'mmdet'.

    Returns:
        Path: The packaged script, or the repository's where the package is installed for editing.

    Raises:
        UserError: If the package is not installed or came without its tools.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        # The doctor can do without the other.
        how = (
            '`python -m ge_det.cli.doctor` says how' if package == 'mmdet' else 'run tools/setup.sh'
        )
        raise UserError(f'{package} is not installed here; {how}')
    folder = Path(spec.origin).parent
    candidates = (
        folder / '.mim' / 'tools' / f'{name}.py',
        folder.parent / 'tools' / f'{name}.py',
    )
    for script in candidates:
        if script.is_file():
            return script
    raise UserError(
        f'{package} has no tool {name}.py (looked for {candidates[0]}); install it again'
    )


def run_tool(
    name: str,
    package: str = 'mmdet',
    also_check: Callable[[argparse.Namespace], None] | None = None,
) -> None:
    """Run one of mmdet's or mmpretrain's tools with the arguments of this process.

    Its own parser reads them first, so that ``--help`` and unknown flags are the tool's, then
    :func:`check_arguments`.

    Args:
        name (str): ``'train'`` or ``'test'``.
        package (str): Whose tool it is. Defaults to 'mmdet'.
        also_check (callable, optional): A further check, which may raise a UserError, of the
            arguments. Defaults to None.

    Raises:
        SystemExit: With code 2 and one line, if an argument cannot work.
    """
    with one_line_errors(name):
        script = find_script(name, package)
        load_safely()
        tool = runpy.run_path(str(script), run_name=f'{package}_tools_{name}')
        args = tool['parse_args']()
        check_arguments(args)
        if also_check is not None:
            also_check(args)
        checkpoint = getattr(args, 'checkpoint', None) or _checkpoint_to_resume(args)
        options = getattr(args, 'cfg_options', None)
        check_model(args.config, options, checkpoint, is_start=name == 'train')
    runpy.run_path(str(script), run_name='__main__')


def check_model(
    config: str,
    cfg_options: dict[str, Any] | None = None,
    checkpoint: str | None = None,
    is_start: bool = False,
) -> None:
    """Build a config's model without memory, and see that a checkpoint is of that model.

    Args:
        config (str): Path of the config.
        cfg_options (dict, optional): Changes to it. Defaults to None.
        checkpoint (str, optional): Path or URL of a checkpoint. Defaults to None.
        is_start (bool): Without a checkpoint, see that the weights a training starts from fit.
            Defaults to False.

    Raises:
        UserError: If the model has a wrong argument, or the weights are of another model.
    """
    from ge_det.cli.preflight import build_without_memory, check_fits, check_start

    try:
        model = build_without_memory(config, cfg_options)
        if checkpoint is not None:
            check_fits(model, checkpoint)
        elif is_start:
            check_start(model, config, cfg_options)
    except ValueError as error:
        raise UserError(' '.join(str(error).split())) from error
    except Exception as error:  # A model of others that the meta device cannot hold, say.
        print(f'the model is not checked beforehand ({type(error).__name__}: {error})')


def _checkpoint_to_resume(args: argparse.Namespace) -> str | None:
    from mmengine.runner import find_latest_checkpoint

    resume = getattr(args, 'resume', None)
    if resume != 'auto':
        return resume
    work_dir = Path(args.work_dir or Path('work_dirs') / Path(args.config).stem)
    if not (work_dir / 'last_checkpoint').is_file():
        return None
    found: str | None = find_latest_checkpoint(str(work_dir))
    return found


@contextmanager
def one_line_errors(name: str, kind: type[Exception] = UserError) -> Iterator[None]:
    """Turn an error about the arguments into one line and exit code 2.

    Args:
        name (str): What the line starts with.
        kind (type): The errors to turn; others keep their traceback. Defaults to UserError.
    """
    try:
        yield
    except kind as error:
        print(f'{name}: {error}', file=sys.stderr)
        sys.exit(2)


def load_safely() -> None:
    """Make every ``torch.load`` of this process safe: a checkpoint must not run code.

    It is torch's default, but some versions of MMEngine ask for the unsafe way by themselves. An
    explicit ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD`` of the user is left alone.
    """
    from ge_det.compat.safe_types import register_safe_types

    register_safe_types()
    if 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD' not in os.environ:
        os.environ.setdefault('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')


def check_arguments(args: argparse.Namespace) -> None:
    """Check what mmdet would only stumble over later, with a traceback.

    Args:
        args (argparse.Namespace): Arguments of mmdet's ``train.py`` or ``test.py``.

    Raises:
        UserError: If a file is missing, ``--out`` is no pickle file, or ``--amp`` finds no GPU.
    """
    check_file(args.config, 'config')
    check_file(getattr(args, 'checkpoint', None), 'checkpoint')
    resume = getattr(args, 'resume', None)
    check_file(None if resume == 'auto' else resume, 'checkpoint')
    out = getattr(args, 'out', None)
    if out is not None and not out.endswith(('.pkl', '.pickle')):
        raise UserError(f'--out {out}: predictions are pickled, the name must end in .pkl')
    if _wants_amp(args) and not _has_amp_device():
        raise UserError('--amp needs a GPU, and none is visible here; leave it out on a CPU')


def check_data(args: argparse.Namespace) -> None:
    """Raise a UserError if a folder of the data is missing; URLs pass."""
    from ge_det.cli.preflight import read_config

    cfg = read_config(args.config, args.cfg_options)
    loaders = ['train_dataloader'] if args.no_validate else ['train_dataloader', 'val_dataloader']
    roots = {name: (cfg.get(name) or {}).get('dataset', {}).get('data_root') for name in loaders}
    missing = {k: v for k, v in roots.items() if v and '://' not in v and not Path(v).is_dir()}
    if missing:
        options = ' '.join(f'{name}.dataset.data_root=FOLDER' for name in missing)
        folder = next(iter(missing.values()))
        raise UserError(f'{folder}: no such data folder; add --cfg-options {options}')


def check_file(path: str | None, what: str) -> None:
    """Raise a UserError if a local file is missing; URLs and None pass."""
    if path is None or '://' in path or Path(path).expanduser().is_file():
        return
    raise UserError(f'{path}: no such {what} file; check the path')


def _wants_amp(args: argparse.Namespace) -> bool:
    options = getattr(args, 'cfg_options', None) or {}
    return getattr(args, 'amp', False) or options.get('optim_wrapper.type') == 'AmpOptimWrapper'


def _has_amp_device() -> bool:
    from mmengine.device import get_device

    return get_device() not in ('cpu', 'mps')  # What MMEngine's AmpOptimWrapper refuses.
