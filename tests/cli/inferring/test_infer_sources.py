"""Which pictures and videos `ge-det infer` reads, and where it draws them: no file is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ge_det.cli.inferring.sources import Source, find_sources
from ge_det.cli.inferring.targets import check_targets, plan_jobs
from ge_det.errors import UserError


def sources(*paths: Path) -> list[Source]:
    """As of files that are given themselves."""
    return [Source(path, Path(path.name)) for path in paths]


def test_where_pictures_of_the_same_name_go(tmp_path: Path) -> None:
    out = tmp_path / 'out'
    names = ['x/a/s.png', 'x/b/S.png', 'x/a/t.png', 'x/a/t.jpg', 'x/a/no_suffix']
    plan = plan_jobs(sources(*(tmp_path / name for name in names)), out)
    assert [str(one.drawn.relative_to(out)) for one in plan] == [
        *('vis/a/s.png', 'vis/b/S.png', 'vis/t.png', 'vis/t.jpg', 'vis/no_suffix.png')
    ]
    assert [one.name for one in plan] == ['a/s.png', 'b/S.png', 't.png', 't.jpg', 'no_suffix']
    plan = plan_jobs(sources(*(tmp_path / name for name in ('v.mov', 'v.mp4'))), out)
    assert [one.drawn.name for one in plan] == ['v.mp4', 'v-2.mp4']


NAMES = st.sampled_from(
    ['a', 'A.png', 'a.png', 'a.jpg', 'a.gif', 'a.jpg.png', 'a.gif.png', 'é.bmp', 'a.avi', 'a.MP4']
)
PATHS = st.tuples(st.sampled_from(['/p', '/p/q', '/p/q/r', '/s']), NAMES, st.booleans())


@settings(deadline=None, max_examples=200, database=None)
@given(st.sets(PATHS, min_size=1, max_size=8))
def test_no_two_pictures_are_drawn_into_one_file(paths: set[tuple[str, str, bool]]) -> None:
    given = {Path(folder, name): is_alone for folder, name, is_alone in sorted(paths)}
    plan = plan_jobs(
        [
            Source(path, Path(path.name) if is_alone else path.relative_to('/'))
            for path, is_alone in given.items()
        ],
        Path('/out'),
    )
    assert len({str(one.drawn).casefold() for one in plan}) == len(given)
    assert all(one.drawn.is_relative_to('/out/vis') for one in plan)


def test_pictures_of_files_folders_and_patterns(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ['b.JPG', 'a.png', 'notes.txt', '.hidden.png', 'folder.png/c.png', 'folder.png/v.MP4']
    names += ['.git/d.png', 'out/vis/a.png', 'empty/notes.txt']
    for name in names:
        path = Path('ph', name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.symlink('..', 'ph/folder.png/back')

    def found(*given: str) -> list[str]:
        return [str(source.name) for source in find_sources(given, Path('ph/out'))]

    inside = ['folder.png/c.png', 'folder.png/v.MP4']
    assert found('ph', 'ph/notes.txt', 'ph/a.png') == ['a.png', 'b.JPG', *inside, 'notes.txt']
    assert found('ph/*') == ['a.png', 'b.JPG', *inside]
    assert found('ph/**/[ac].p?g') == ['a.png', 'folder.png/c.png']
    assert found('ph/out/vis') == ['a.png']
    os.rename('ph/a.png', 'ph/a[1].png')
    assert found('ph/a[1].png') == ['a[1].png']
    errors = {
        'none': 'none: no such image or folder',
        '': 'no such image or folder',
        'https://host/a.jpg': 'images are files here; download it',
        'ph/empty': 'no image or video in this folder or those in it',
        'ph/*.gif': 'no image or video fits this pattern',
    }
    for wrong, said in errors.items():
        with pytest.raises(UserError, match=said):
            found(wrong)


def test_a_name_that_is_too_long_is_told_where_it_is_written(tmp_path: Path) -> None:
    plan = plan_jobs(sources(tmp_path / ('a' * 251 + '.gif')), tmp_path / 'out')
    (tmp_path / 'out' / 'vis').mkdir(parents=True)
    check_targets(plan, [], overwrite=False)


def test_a_picture_that_may_not_be_read_is_not_lost_in_silence(tmp_path: Path) -> None:
    for name in ('a.png', 'b.HEIC', 'c.gif'):
        (tmp_path / name).touch()
    assert [source.path.name for source in find_sources([str(tmp_path)], tmp_path / 'out')] == [
        *('a.png', 'b.HEIC', 'c.gif')
    ]


def test_a_folder_that_links_to_the_pictures(tmp_path: Path) -> None:
    (tmp_path / 'ph').mkdir()
    (tmp_path / 'ph' / 'a.png').touch()
    (tmp_path / 'out').mkdir()
    os.symlink('../ph', tmp_path / 'out' / 'vis')
    plan = plan_jobs(sources(tmp_path / 'ph' / 'a.png'), tmp_path / 'out')
    with pytest.raises(UserError, match='one of the pictures given'):
        check_targets(plan, [], overwrite=True)
