"""The checkpoint that ``--resume`` takes: the newest whole one, whatever the note says."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ge_det.errors import CheckpointError
from ge_det.weights.training_checkpoint import NOTE, check_resumable, mend_note, read_note


def save(path: Path, **changes: Any) -> None:
    """Write a checkpoint with all that a training goes on from."""
    content = dict(
        meta=dict(epoch=1, iter=3),
        state_dict={'a.weight': torch.ones(2, 2)},
        optimizer=dict(state={}, param_groups=[]),
        message_hub={},
    )
    content |= changes
    torch.save({key: value for key, value in content.items() if value is not None}, path)


def cut(path: Path) -> None:
    save(path)
    path.write_bytes(path.read_bytes()[:-300])


FAULTS: dict[str, Callable[[Path], object]] = {
    'whole': save,
    'missing': lambda path: None,
    'empty': Path.touch,
    'cut': cut,
    'garbage': lambda path: path.write_bytes(b'\0' * 2000),
    'published': lambda path: save(path, optimizer=None, message_hub=None),
    'without meta': lambda path: save(path, meta=None),
    'nan': lambda path: save(path, state_dict={'a.weight': torch.full((2, 2), torch.nan)}),
    'folder': Path.mkdir,
}
NOTES: dict[str, Callable[[Path], bytes | None]] = {
    'missing': lambda folder: None,
    'empty': lambda folder: b'',
    'lines': lambda folder: b'\n\n',
    'latin-1': lambda folder: str(folder / 'epoch_\xe9.pth').encode('latin-1'),
    'nul': lambda folder: b'\0' * 40,
    'long': lambda folder: b'a' * 5000,
    'newest': lambda folder: str(folder / 'epoch_10.pth').encode(),
    'behind': lambda folder: str(folder / 'epoch_2.pth').encode(),
    'gone': lambda folder: str(folder / 'epoch_11.pth').encode(),
    'moved': lambda folder: b'/old/place/epoch_10.pth',
    'relative': lambda folder: b'epoch_10.pth',
}
EPOCHS = (1, 2, 10)


@settings(deadline=None, max_examples=60, database=None)
@given(st.tuples(*[st.sampled_from(sorted(FAULTS))] * len(EPOCHS)), st.sampled_from(sorted(NOTES)))
@example(('missing',) * 3, 'moved')
@example(('whole', 'whole', 'cut'), 'newest')
@example(('whole', 'whole', 'whole'), 'missing')
@example(('cut', 'folder', 'whole'), 'behind')
def test_the_newest_whole_one_is_found(faults: tuple[str, ...], note: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for epoch, fault in zip(EPOCHS, faults, strict=True):
            FAULTS[fault](folder / f'epoch_{epoch}.pth')
        save(folder / 'best_coco_bbox_mAP_epoch_11.pth', optimizer=None)
        if (text := NOTES[note](folder)) is not None:
            (folder / NOTE).write_bytes(text)
        whole = [e for e, fault in zip(EPOCHS, faults, strict=True) if fault == 'whole']
        if whole:
            mend_note(folder)
            assert read_note(folder) == folder / f'epoch_{whole[-1]}.pth'
        elif set(faults) == {'missing'} and note not in (
            'gone',
            'moved',
            'relative',
            'behind',
            'newest',
        ):
            assert 'begins anew' in mend_note(folder)[0]
            assert not (folder / NOTE).exists()
        else:
            with pytest.raises(CheckpointError, match='nothing to resume') as caught:
                mend_note(folder)
            assert '\n' not in str(caught.value)


def test_what_was_passed_over_is_said(tmp_path: Path) -> None:
    save(tmp_path / 'epoch_1.pth')
    (tmp_path / NOTE).write_text(str(tmp_path / 'epoch_1.pth'))
    assert mend_note(tmp_path) == []
    cut(tmp_path / 'epoch_2.pth')
    (tmp_path / NOTE).write_text('')
    damaged, mended = mend_note(tmp_path)
    assert damaged.startswith(f'{tmp_path / "epoch_2.pth"}: ')
    assert mended.startswith(f'goes on from {tmp_path / "epoch_1.pth"}')


def test_a_note_longer_than_any_path_is_mended(tmp_path: Path) -> None:
    save(tmp_path / 'epoch_1.pth')
    (tmp_path / NOTE).write_bytes(NOTES['long'](tmp_path) or b'')
    assert mend_note(tmp_path)[0].startswith(f'goes on from {tmp_path / "epoch_1.pth"}')


def test_a_copied_folder_resumes_its_own_checkpoint(tmp_path: Path) -> None:
    for name in ('old', 'new'):
        (tmp_path / name).mkdir()
        save(tmp_path / name / 'epoch_1.pth')
        (tmp_path / name / NOTE).write_text(str(tmp_path / 'old/epoch_1.pth'))
    mend_note(tmp_path / 'new')
    assert read_note(tmp_path / 'new') == tmp_path / 'new/epoch_1.pth'


def test_checkpoints_kept_elsewhere_are_found_by_the_note(tmp_path: Path) -> None:
    for name in ('run', 'elsewhere'):
        (tmp_path / name).mkdir()
    for epoch in (3, 4):
        save(tmp_path / f'elsewhere/epoch_{epoch}.pth')
    (tmp_path / 'run' / NOTE).write_text(str(tmp_path / 'elsewhere/epoch_3.pth'))
    mend_note(tmp_path / 'run')
    assert read_note(tmp_path / 'run') == tmp_path / 'elsewhere/epoch_4.pth'


def test_published_weights_are_named_as_such(tmp_path: Path) -> None:
    save(tmp_path / 'small.pth', optimizer=None, message_hub=None)
    with pytest.raises(CheckpointError, match='weights alone.*load_from='):
        check_resumable(tmp_path / 'small.pth')
