"""The folder that a training works in: writable, its own, and resumed from a whole checkpoint."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from ge_det.cli.checks import no_empty_folder
from ge_det.cli.screen import show
from ge_det.cli.signals import is_first_process
from ge_det.config_writer.literals import check_name
from ge_det.errors import UserError, one_line
from ge_det.locks import only_training

_own: list[Path] = []  # Of trainings of this process.


def find_work_dir(args: argparse.Namespace, cfg: Any) -> Path:
    """Where mmdet's and mmpretrain's tools will work.

    Args:
        args (argparse.Namespace): Arguments of the tool.
        cfg (Config): The config, with the changes of ``--cfg-options``.

    Returns:
        Path: ``--work-dir``, the config's, or a folder named after the config.
    """
    return Path(args.work_dir or cfg.get('work_dir') or f'./work_dirs/{Path(args.config).stem}')


def make_work_dir(work_dir: Path) -> None:
    """Make a folder to work in; a UserError if it cannot be made or takes no files."""
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=work_dir).close()
    except OSError as error:
        raise _not_written(work_dir, error) from error


def check_work_dir(work_dir: Path) -> None:
    """The same for a folder that is made later: nothing is left of it."""
    with no_empty_folder(work_dir):
        make_work_dir(work_dir)


def _not_written(work_dir: Path, error: OSError) -> UserError:
    return UserError(f'{work_dir}: cannot be written ({one_line(error)}); give another --work-dir')


@contextmanager
def own_work_dir(args: argparse.Namespace, cfg: Any) -> Iterator[str | None]:
    """Take a work dir for a training, as long as it runs.

    Args:
        args (argparse.Namespace): Arguments of mmdet's or mmpretrain's ``train.py``.
        cfg (Config): The config, with the changes of ``--cfg-options``.

    Yields:
        str | None: The checkpoint that is resumed; None also in a process that does not speak for
        those that train together.

    Raises:
        UserError: If it cannot be written, another training is at work in it, there are
            checkpoints of one that is not to be resumed, or none that can be.
    """
    work_dir = find_work_dir(args, cfg)
    if not is_first_process():
        if _wanted(args, cfg) == 'auto' and not _is_begun(work_dir):
            _begin_anew(args, cfg)  # As the first one does: all start from the same weights.
        yield None
        return
    check_name('the work dir', str(work_dir))  # MMEngine writes it into its copy of the config.
    make_work_dir(work_dir)
    with ExitStack() as stack:
        try:
            stack.enter_context(only_training(work_dir, ', or give another --work-dir'))
        except OSError as error:
            raise _not_written(work_dir, error) from error
        checkpoint = _resumed(work_dir, args, cfg)
        _own.append(work_dir)
        yield checkpoint


def after_interruption() -> str:
    """What is left of the training of this process, and how it goes on."""
    if _own and _is_begun(_own[-1]):
        return 'the same command with --resume goes on from the last checkpoint'
    if _own:
        return 'nothing is saved yet, for the first epoch had not ended; run it again'
    return 'run it again'


def _resumed(work_dir: Path, args: argparse.Namespace, cfg: Any) -> str | None:
    from ge_det.weights.training_checkpoint import (
        check_resumable,
        checkpoints,
        mend_note,
        read_note,
    )

    resume = _wanted(args, cfg)
    if resume == 'auto':
        show(*mend_note(work_dir))
        if (noted := read_note(work_dir)) is not None:
            return str(noted)
        _begin_anew(args, cfg)
        return None
    if resume is not None and '://' not in resume:
        check_resumable(Path(resume))
    is_own = resume is not None and Path(resume).resolve().parent == work_dir.resolve()
    if not is_own and (found := checkpoints(work_dir)):
        raise UserError(
            f'{work_dir}: there is a training already ({found[0].name}); --resume goes on with it, '
            'another --work-dir begins one beside it'
        )
    return resume


def _wanted(args: argparse.Namespace, cfg: Any) -> str | None:
    """What is to be resumed: a checkpoint, ``'auto'`` for that of the work dir, or nothing."""
    return args.resume or (cfg.get('resume') and (cfg.get('load_from') or 'auto')) or None


def _is_begun(work_dir: Path) -> bool:
    """Whether there is something that the first process resumes or refuses."""
    from ge_det.weights.training_checkpoint import checkpoints, read_note

    return read_note(work_dir) is not None or bool(checkpoints(work_dir))


def _begin_anew(args: argparse.Namespace, cfg: Any) -> None:
    """Drop ``--resume`` from the command line: it makes mmdet's tool forget ``load_from``.

    In the copy of a config that a resumed training leaves, that is no start but a checkpoint that
    was gone on from: it goes, too.
    """
    if cfg.get('resume') and cfg.get('load_from'):
        cfg.update(resume=False, load_from=None)
        sys.argv += ['--cfg-options', 'resume=False', 'load_from=None']
    words = iter(sys.argv)
    kept: list[str] = []
    for word in words:
        if word == '--resume':
            if args.resume == 'auto' and sys.argv[len(kept) + 1 : len(kept) + 2] == ['auto']:
                next(words)
        elif word != '--resume=auto':
            kept.append(word)
    sys.argv = kept
