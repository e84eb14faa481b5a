"""Pictures that are spoiled after make-config has looked at them: one line with name and remedy."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import mmcv.transforms as mmcv
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from ge_det.cli.pictures import named_pictures
from ge_det.cli.run_errors import run_errors
from ge_det.errors import UserError


class OnePicture(Dataset):
    def __init__(self, path: str) -> None:
        self.path = path
        self.load = mmcv.LoadImageFromFile()

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[int, ...]:
        return self.load({'img_path': self.path})['img'].shape


def load(path: Path | str, workers: int = 0) -> str:
    """What is said; nothing if the picture loads."""
    loader = DataLoader(OnePicture(str(path)), num_workers=workers)
    try:
        with named_pictures('put it back'), run_errors('run it again'):
            list(loader)
    except UserError as error:
        return str(error)
    return ''


def picture(form: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, form)
    return buffer.getvalue()


@pytest.fixture
def every_kind(tmp_path: Path) -> Iterator[dict[str, Path]]:
    contents = {
        'empty': b'',
        'cut': picture('PNG')[:300],
        'zeros': bytes(1000),
        'text': b'no picture',
        'a web page': b'<!doctype html>' + b' ' * 600,
    }
    paths = {kind: tmp_path / f'{kind}.png' for kind in [*contents, 'a folder']}
    for kind, content in contents.items():
        paths[kind].write_bytes(content)
    paths['a folder'].mkdir()
    yield paths


@pytest.mark.parametrize('workers', [0, 1])
def test_a_picture_that_does_not_load(every_kind: dict[str, Path], workers: int) -> None:
    for kind, path in every_kind.items():
        if workers and kind not in ('empty', 'cut'):  # A process each.
            continue
        said = load(path, workers)
        assert said.startswith(f'{path}: this picture does not load ('), said
        assert said.endswith('); put it back') and '\n' not in said
        assert kind != 'empty' or 'empty: fetch it again' in said


@pytest.mark.parametrize('workers', [0, 1])
def test_a_picture_that_is_gone_has_its_own_line(tmp_path: Path, workers: int) -> None:
    assert 'a.png: this picture is not there any more; put it' in load(tmp_path / 'a.png', workers)


@given(form=st.sampled_from(['PNG', 'JPEG', 'BMP', 'TIFF', 'WEBP']), data=st.data())
@settings(deadline=None, max_examples=30)
def test_a_picture_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory, form: str, data: st.DataObject
) -> None:
    whole = picture(form)
    path = tmp_path_factory.getbasetemp() / f'cut.{form.lower()}'
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    said = load(path)  # Or older OpenCV fills the rest with grey.
    assert said == '' or (said.startswith(f'{path}: this picture') and '\n' not in said)


def test_afterwards_mmcv_is_as_it_was() -> None:
    before = mmcv.LoadImageFromFile.transform
    load('none.png')
    assert mmcv.LoadImageFromFile.transform is before


def test_faults_of_others_pass() -> None:
    with named_pictures('put it back'), pytest.raises(KeyError):
        mmcv.LoadImageFromFile()({})
