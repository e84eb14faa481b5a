"""A config that cannot be read is one line that names the fault; so is a change to it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip('mmengine')

from mmengine.config.config import DictAction

from ge_det.config_reader import inner_data_set, parse_change, read_config, read_model
from ge_det.errors import UserError

BROKEN = {
    'syntax': (b'model = dict(', 'line 1: .* never closed'),
    'missing base': (b"_base_ = './none.py'", r'there is no .*none\.py, which it names'),
    'unknown package': (b"_base_ = 'nobody::coco/x.py'", 'nobody'),
    'base of another kind': (b'_base_ = 3', 'TypeError'),
    'its own base': (b"_base_ = './my.py'", 'never ends: a _base_ leads back'),
    'a list in itself': (b'a = []\na.append(a)', 'never ends'),
    'Latin-1': (b"x = '\xe9'", 'not UTF-8 text .byte 5.; save it as UTF-8'),
    'UTF-16': ("x = 'y'".encode('utf-16'), 'not UTF-8'),
    'byte order mark': (b'\xef\xbb\xbfx = 1', 'byte order mark; save it'),
    'null': (b'x = 1\0', 'null'),
    'ends': (b'raise SystemExit(3)', 'it ends the process'),
    'fails': (b'1 / 0', 'ZeroDivisionError: division by zero'),
    'imports nothing': (b"custom_imports = dict(imports=['no_such_module'])", 'no_such_module'),
}


@pytest.mark.parametrize(
    ('loader', 'name'),
    [
        (None, None),
        ({}, None),
        (dict(dataset=dict(ann_file='a')), 'a'),
        (dict(dataset=dict(type='RepeatDataset', dataset=dict(ann_file='a'))), 'a'),
        (dict(dataset=dict(datasets=[dict(dataset=dict(ann_file='a')), dict(ann_file='b')])), 'a'),
        (dict(dataset=dict(datasets=[], ann_file='a')), 'a'),
    ],
)
def test_the_data_set_within(loader, name) -> None:
    assert inner_data_set(loader).get('ann_file') == name


def line_of(function, *arguments) -> str:
    with pytest.raises(UserError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert '\n' not in message
    return message


@pytest.mark.parametrize(('content', 'reason'), BROKEN.values(), ids=BROKEN)
def test_broken_files(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / 'my.py').write_bytes(content)
    with pytest.raises(UserError, match=reason) as caught:
        read_config(str(tmp_path / 'my.py'))
    assert '\n' not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / 'my.py'))


def test_two_that_are_the_base_of_each_other(tmp_path: Path) -> None:
    (tmp_path / 'my.py').write_text("_base_ = './other.py'")
    (tmp_path / 'other.py').write_text("_base_ = './my.py'")
    assert 'never ends' in line_of(read_config, str(tmp_path / 'my.py'))


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'pipe.py')
    assert 'a pipe or device' in line_of(read_config, str(tmp_path / 'pipe.py'))
    assert 'a pipe or device' in line_of(read_config, '/dev/zero')
    assert 'is a folder' in line_of(read_config, str(tmp_path))
    assert 'no such config' in line_of(read_config, str(tmp_path / 'none.py'))
    assert 'no such config' in line_of(read_config, 'a\0.py')
    (tmp_path / 'my.txt').write_text('x = 1')
    assert 'py/yml/yaml/json' in line_of(read_config, str(tmp_path / 'my.txt'))


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('', 'no model in it'),
        ('model = 3', 'its model is 3; write'),
        ('model = [1]', 'its model is [1]'),
        ('model = None', 'its model is None'),
        ('model = {}; default_hooks = 3', 'default_hooks is 3'),
        ("model = {}; custom_hooks = 'a'", "custom_hooks is 'a'"),
    ],
)
def test_no_model(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / 'my.py').write_text(text)
    assert reason in line_of(read_model, str(tmp_path / 'my.py'))


def test_hooks_in_a_tuple(tmp_path: Path) -> None:
    (tmp_path / 'my.py').write_text("model = {}; custom_hooks = (dict(type='A'),)")
    assert len(read_model(str(tmp_path / 'my.py')).custom_hooks) == 1


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ('custom_hooks.b=1', 'list indices'),
        ('custom_hooks.7=1', 'Index 7 exceeds'),
        ('work_dir.x=1', "work_dir is the text 'text' there; give work_dir=VALUE"),
    ],
)
def test_changes_that_do_not_go_into_it(tmp_path: Path, change: str, reason: str) -> None:
    (tmp_path / 'my.py').write_text("custom_hooks = [dict(x=1)]\nwork_dir = 'text'")
    config = str(tmp_path / 'my.py')
    said = line_of(read_config, config, parse_change(change))
    assert said.startswith('--cfg-options') and reason in said
    assert read_config(config, parse_change('custom_hooks.0.x=None')).custom_hooks[0].x is None


@pytest.mark.parametrize(
    'change',
    [
        'plugins=[dict(type=1,position=2)]',  # never ended
        'plugins=[dict(a=1)]',  # was the text 'dict(a=1)'
        "a={'x': 1}",
        'a=dict(x=1)',
        'a=f(1,2)',
        'a=(1,2',
        'a=' + 5000 * '[' + 5000 * ']',
        '=3',
        'a..b=1',
        'a',
    ],
)
def test_changes_that_cannot_be_read(change: str) -> None:
    assert line_of(parse_change, change).startswith('--cfg-options')


@settings(deadline=None, max_examples=300, database=None)
@given(st.text('ab1,()[]{}=.:"\' -dict', max_size=14))
def test_a_change_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        assert len(parse_change(text)) == 1
    except UserError as error:
        assert '\n' not in str(error)


AS_GIVEN = {
    'load_from=pub ü/x y.safetensors': 'pub ü/x y.safetensors',
    'load_from=a,b.pth': 'a,b.pth',
    'work_dir=my runs': 'my runs',
    'work_dir=2024': '2024',
    'work_dir=None': None,
    'train_dataloader.dataset.ann_file="a b,c.json"': 'a b,c.json',
    'val_evaluator.ann_file=[x] y.json': '[x] y.json',
    'train_dataloader.dataset.data_root=my data/': 'my data/',
    'train_dataloader.dataset.data_prefix.img=my pictures, old/': 'my pictures, old/',
    'model.backbone.pretrained.checkpoint=a b.pth': 'a b.pth',
    'val_evaluator.outfile_prefix=my runs/x': 'my runs/x',
    'x="a, b"': 'a, b',
    "x='a b'": 'a b',
    'x=there, it is/y': 'there, it is/y',
    'x=gone, it is/y': ['gone', 'itis/y'],
    'x="[a, b]"': ['a', 'b'],
    'dataset.data_prefix=(a, 1)': ('a', 1),
}


@pytest.mark.parametrize(('word', 'value'), AS_GIVEN.items())
def test_paths_and_quoted_text_arrive_as_given(
    word: str, value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'there, it is/y').mkdir(parents=True)
    assert list(parse_change(word).values()) == [value]


@settings(deadline=None, max_examples=300, database=None)
@given(
    st.recursive(
        st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none() | st.text('ab_-'),
        lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner),
        max_leaves=6,
    ),
    st.sampled_from(['model.depth', 'x', 'img_scale', 'norm_eval', 'drop_path', 'profile.y']),
    st.booleans(),
)
def test_other_values_are_read_as_mmengine_reads_them(
    value: object, key: str, is_bare: bool
) -> None:
    text = str(value).replace("'", '')
    text = text[1:-1] if is_bare and isinstance(value, list) else text
    space, word = argparse.Namespace(), f'{key}={text}'
    try:
        DictAction([], 'changes', nargs='+')(argparse.ArgumentParser(), space, [word])
    except RecursionError:  # Of '[1],[2]'.
        line_of(parse_change, word)
    else:
        assert parse_change(word) == space.changes
