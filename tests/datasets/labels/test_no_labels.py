"""Folders and files without labels: one line that says what to do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from label_writers import PETS, coco_text, draw

from ge_det.datasets.labels import read
from ge_det.errors import UserError


def told(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read(path)
    text = str(caught.value).replace(str(path), 'F')
    assert '\n' not in text
    return text


def test_folders_without_labels(tmp_path: Path) -> None:
    assert told(tmp_path) == 'F: the folder is empty; check the path'
    (tmp_path / 'IMG_1.HEIC').write_bytes(b'\0\0\0\x18ftypheic')
    assert told(tmp_path) == (
        'F: no picture that training reads but 1 such as IMG_1.HEIC; convert them to JPEG, then '
        'label them'
    )
    draw(tmp_path, 'a.png')
    assert told(tmp_path) == (
        'F: 1 picture and no labels; draw boxes with CVAT (export "COCO 1.0"), Label Studio '
        '(export COCO) or LabelMe (leave its JSON beside the photos), then run this again'
    )
    (tmp_path / 'export.zip').write_bytes(b'PK')
    assert told(tmp_path).endswith('export.zip is packed: unpack it')
    (tmp_path / 'via.json').write_text('{"_via_img_metadata": {}}')
    assert told(tmp_path).endswith("via.json is VIA's own project: export its annotations as COCO")
    (tmp_path / 'a.json').write_text('{')
    assert 'a.json is no JSON: ' in told(tmp_path)


def test_files_that_are_no_labels(tmp_path: Path) -> None:
    assert told(tmp_path / 'no') == 'F: no such folder or file; check the path'
    assert told(draw(tmp_path, 'a.png')) == 'F: a single picture; give the folder of all'
    for name, content, said in (
        ('a.zip', b'PK\3\4', 'F: not labels but a zip archive: unpack it'),
        ('a.json', b'', 'F: not labels but empty: fetch it again'),
        ('a.md', b'hello', 'F: not labels that are known; give the folder of the photos'),
        ('b.json', b'{"a": 1}', 'F: no labels in a format known here'),
    ):
        (tmp_path / name).write_bytes(content)
        assert told(tmp_path / name).startswith(said)
    os.mkfifo(tmp_path / 'pipe')
    assert (
        told(tmp_path / 'pipe') == 'F: neither a folder nor a file; give the folder of the photos'
    )


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read everything')
def test_a_folder_without_permission(tmp_path: Path) -> None:
    (tmp_path / 'in').mkdir(mode=0)
    assert told(tmp_path) == 'F/in: cannot be read (Permission denied); allow it'


def test_coco_without_objects(tmp_path: Path) -> None:
    draw(tmp_path, 'one.png')
    content = json.loads(coco_text(PETS)) | {'annotations': []}
    (tmp_path / 'labels.json').write_text(json.dumps(content))
    assert told(tmp_path).endswith(
        'the list of annotations is empty; nothing can be learned or measured'
    )
