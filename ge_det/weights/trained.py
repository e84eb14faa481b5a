"""What a training left in its work dir: the config and the checkpoint to go on working with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ge_det.errors import CheckpointError, UserError, shown
from ge_det.files import expanded

# MMEngine writes the config of a training as one file, without _base_.
_CONFIG = re.compile(rb'^model\s*=', re.MULTILINE)


@dataclass(frozen=True)
class Trained:
    """A trained detector.

    Attributes:
        config (Path): The config that MMEngine wrote into the work dir.
        checkpoint (Path): Its best checkpoint, or else the newest whole one.
    """

    config: Path
    checkpoint: Path


def find_trained(path: str | Path) -> Trained:
    """Find a trained detector.

    Args:
        path (str | Path): A work dir, or a checkpoint in one. Of several best checkpoints in a work
            dir, the newest is taken.

    Returns:
        Trained: Its config, of several the newest, and its checkpoint.

    Raises:
        UserError: If there is no such work dir, no checkpoint yet or no config.
    """
    path = expanded(path)
    if path.is_file():
        return Trained(_config(path.parent, path), path)
    if not path.is_dir():
        beside = Path('work_dirs', path)
        hint = f'did you mean {beside}?' if beside.is_dir() else 'check the path'
        raise UserError(f'{shown(path)}: no such work dir or checkpoint; {hint}')
    return Trained(_config(path, path), best_checkpoint(path))


def _config(folder: Path, given: Path) -> Path:
    files = [file for file in folder.glob('*.py') if _CONFIG.search(file.read_bytes())]
    if not files:
        raise UserError(
            f'{shown(given)}: no config of a training beside it; give the config it was trained '
            'with, too'
            if given != folder
            else f'{shown(folder)}: not the work dir of a training: there is no config in it'
        )
    return max(files, key=lambda file: file.stat().st_mtime)


def best_checkpoint(folder: Path) -> Path:
    """The best checkpoint in a work dir, or else the newest whole one.

    Args:
        folder (Path): The work dir.

    Raises:
        UserError: If there is none.
    """
    from ge_det.weights.training_checkpoint import checkpoints, read_note

    files = [*best_checkpoints(folder), *checkpoints(folder)]
    if not files and (noted := read_note(folder)) is not None:  # Of a hook with an `out_dir`.
        files = [*best_checkpoints(noted.parent), *checkpoints(noted.parent)]
    if not files and (others := sorted(folder.glob('*.pth'))):
        raise UserError(
            f'{shown(folder)}: no checkpoint of a training there; give the file itself, such as '
            f'{shown(others[0])}'
        )
    if not files:
        raise UserError(
            f'{shown(folder)}: no checkpoint there yet; `ge-det train` writes one after each epoch'
        )
    faults = []
    for file in files:
        if not (fault := _fault(file)):
            return file
        faults.append(fault)
    raise UserError(f'{folder}: none of its checkpoints can be used: {faults[0]}')


def best_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints that were kept for their results, the newest first."""
    return sorted(folder.glob('best_*.pth'), key=lambda file: file.stat().st_mtime, reverse=True)


def _fault(file: Path) -> str:
    """Why a checkpoint is not whole, in one line; '' if it is."""
    from ge_det.reading.load import load_file
    from ge_det.reading.soundness import find_faults

    try:
        content = load_file(file)
    except CheckpointError as error:
        return str(error)
    faults = find_faults(content) if isinstance(content, Mapping) else ['no weights in it']
    return f'{file}: {"; ".join(faults)}' if faults else ''
