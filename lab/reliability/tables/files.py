"""Hostile and damaged files at each entry."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ..entries import ENTRIES
from ..hostile import KINDS, OTHER_MODEL, SOUND, TEXT
from ..parallel import in_parallel
from ..place import Place
from ..table import Table
from ..trial import ACCEPTED, ONE_LINE, attempt, fresh

ABOUT = (
    'Each file under the name of a checkpoint, at each entry, in a process of its own. Right is an '
    'error on one line within 60 s and 4 GB, nothing run out of the file; a sound file is taken. '
    "mmdet's own script may show a traceback. Cells: right of tried."
)


def run(place: Place, jobs: int) -> Table:
    """Try every file at every entry."""
    names = [(kind, name) for kind, makers in KINDS.items() for name in makers]
    folder = fresh(place.tries / 'files')
    verdicts = in_parallel(_at_all_entries, [(place, folder, *pair) for pair in names], jobs)
    table = Table('Files of weights', ABOUT, ['files', *ENTRIES])
    for kind, makers in KINDS.items():
        of_kind = [v for (k, _), v in zip(names, verdicts, strict=True) if k == kind]
        counts = [(sum(v[entry] is None for v in of_kind), len(makers)) for entry in ENTRIES]
        table.count(kind, *counts)
    table.faults += [
        f'{kind}, {name}, at {entry}: {fault}'
        for (kind, name), found in zip(names, verdicts, strict=True)
        for entry, fault in found.items()
        if fault is not None
    ]
    return table


def _at_all_entries(task: tuple[Place, Path, str, str]) -> dict[str, str | None]:
    place, root, kind, name = task
    number = list(KINDS).index(kind) * 100 + list(KINDS[kind]).index(name)
    folder = fresh(root / str(number))
    return dict(_faults(place, folder, kind, name))


def _faults(place: Place, folder: Path, kind: str, name: str) -> Iterator[tuple[str, str | None]]:
    canary = folder / 'canary'
    for number, entry in enumerate(ENTRIES):
        good = place.classifier if entry == 'classifier' else place.detector
        file = folder / f'{number}.pth'
        KINDS[kind][name](file, good, canary)
        trial = attempt(partial(ENTRIES[entry], place, file), folder / f'at{number}')
        yield entry, _fault(kind, entry, trial.outcome, trial.last_line, canary, file)
        if file.is_dir():
            file.rmdir()
        else:
            file.unlink(missing_ok=True)


def _fault(kind: str, entry: str, outcome: str, line: str, canary: Path, file: Path) -> str | None:
    """What is wrong with how a try ended; None if nothing."""
    if canary.exists():
        canary.unlink() if canary.is_file() else canary.rmdir()
        return 'ran code'
    if KINDS[kind] is SOUND:
        return None if outcome == ACCEPTED else f'{outcome}: {line}'
    if KINDS[kind] is TEXT and outcome == ACCEPTED:
        return None
    if KINDS[kind] is OTHER_MODEL and entry == 'publish' and outcome == ACCEPTED:
        return None  # It has no model to compare with.
    mmdets = entry.startswith('mmdet') and outcome.startswith('traceback')
    return None if outcome == ONE_LINE or mmdets else outcome
