"""The checkpoint of a work dir that a training goes on from: the newest one that is whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ge_det.errors import CheckpointError
from ge_det.files import write_whole
from ge_det.reading.load import load_file
from ge_det.reading.soundness import find_faults

NOTE = 'last_checkpoint'
"""MMEngine's note, in the work dir, of the path of the checkpoint that it wrote last."""

_NUMBER = re.compile(r'(?<!\d)(\d+)\.pth$')
_WANTED = ('state_dict', 'optimizer', 'message_hub')


@dataclass
class Found:
    """What was found in a work dir.

    Attributes:
        checkpoint (Path | None): The newest whole checkpoint, if there is any.
        passed_over (list[str]): One line on each newer one that a training cannot go on from.
    """

    checkpoint: Path | None = None
    passed_over: list[str] = field(default_factory=list)


def check_resumable(checkpoint: Path) -> None:
    """Raise a CheckpointError unless a training can go on from a local checkpoint."""
    content = load_file(checkpoint)
    held = content if isinstance(content, Mapping) else {}
    lacks, meta = [key for key in _WANTED if key not in held], held.get('meta')
    if not lacks and not (isinstance(meta, Mapping) and {'epoch', 'iter'} <= set(meta)):
        lacks = ['meta']
    if lacks:
        raise CheckpointError(
            f'{checkpoint}: weights alone, without the state of a training ({", ".join(lacks)}); '
            f'start from them with --cfg-options load_from={checkpoint}, without --resume'
        )
    if faults := find_faults(held):
        raise CheckpointError(
            f'{checkpoint}: {"; ".join(faults)}; if the training diverged, start from an earlier '
            'checkpoint (load_from=FILE) with a lower learning rate (optim_wrapper.optimizer.lr)'
        )


def find_checkpoint(work_dir: Path) -> Found:
    """Look for the newest checkpoint that a training in this folder can go on from.

    The note is not to be trusted: a kill may leave it empty or behind, and in a folder that was
    moved or copied it names the old place. So the files themselves are looked at, newest first;
    elsewhere, as with the ``out_dir`` of MMEngine's hook, what the note names.

    Args:
        work_dir (Path): Of a training.

    Returns:
        Found: The checkpoint, and what is wrong with newer ones.
    """
    files = checkpoints(work_dir)
    noted = read_note(work_dir)
    if noted is not None and not files:
        files = checkpoints(noted.parent) or [noted]
    found = Found()
    for file in files:
        try:
            check_resumable(file)
        except CheckpointError as error:
            found.passed_over.append(str(error))
        else:
            found.checkpoint = file
            break
    return found


def mend_note(work_dir: Path) -> list[str]:
    """Have MMEngine's note name the newest whole checkpoint; without any, there is no note.

    Args:
        work_dir (Path): Of a training.

    Returns:
        list[str]: What to tell a user, one line each: nothing where the note was right.

    Raises:
        CheckpointError: If there are checkpoints, and a training cannot go on from any.
    """
    noted = read_note(work_dir)
    if noted is not None and (':/' in str(noted) or (noted.is_dir() and any(noted.iterdir()))):
        return []  # A remote file or DeepSpeed's folder: as MMEngine has it.
    found = find_checkpoint(work_dir)
    if found.checkpoint is None:
        if found.passed_over:
            raise CheckpointError(
                f'{work_dir}: nothing to resume: {found.passed_over[0]}; to begin anew, give '
                'another --work-dir, without --resume'
            )
        (work_dir / NOTE).unlink(missing_ok=True)
        return [f'{work_dir}: no checkpoint to resume; the training begins anew']
    if noted is None or noted.absolute() != found.checkpoint.absolute():
        write_whole(work_dir / NOTE, str(found.checkpoint.absolute()).encode())
        was = 'does not say where' if noted is None else f'says {noted}'
        found.passed_over.append(f'goes on from {found.checkpoint}; {NOTE} {was}')
    return found.passed_over


def checkpoints(folder: Path) -> list[Path]:
    """Files of a training's checkpoints in a folder, newest first; not those of the best result."""
    numbered = [
        (int(number[1]), path.stat().st_mtime, path)
        for path in folder.glob('*.pth')
        if (number := _NUMBER.search(path.name)) and not path.name.startswith(('best_', '.'))
    ]
    return [path for *_, path in sorted(numbered, reverse=True)]


def read_note(work_dir: Path) -> Path | None:
    """The path in MMEngine's note; None if there is no note or no path in it."""
    try:
        text = (work_dir / NOTE).read_text(encoding='utf-8').strip()
        Path(text).is_dir()  # Raises for what no path can be.
    except (OSError, ValueError):
        return None
    return Path(text) if text and '\0' not in text else None
