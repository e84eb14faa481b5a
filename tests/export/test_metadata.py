"""What a file says of itself, and what is made of a config for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip('onnx')
pytest.importorskip('mmdet')

import onnx  # noqa: E402
from mmengine.config import Config  # noqa: E402
from tiny_detector import NARROW_RETINANET  # noqa: E402
from tiny_graphs import gated  # noqa: E402

from ge_det.cli.preflight import build_without_memory  # noqa: E402
from ge_det.errors import UserError  # noqa: E402
from ge_det.export.metadata import Metadata, describe, unknown_steps, write_metadata  # noqa: E402
from ge_det.export.session import Session  # noqa: E402

names = st.lists(st.text(max_size=5), max_size=3).map(tuple)
sides = st.none() | st.tuples(st.integers(1, 2048), st.integers(1, 2048))
finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=50)
@given(
    st.builds(
        Metadata,
        task=st.sampled_from(('detect', 'segment', 'features', 'backbone')),
        mean=st.tuples(finite, finite, finite),
        classes=names,
        scale=sides,
        size=sides,
        keep_ratio=st.booleans(),
        pad_value=finite,
        versions=st.none() | st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    )
)
def test_what_is_written_is_read(about: Metadata) -> None:
    texts = about.to_texts()
    assert all(isinstance(text, str) for text in texts.values())
    assert Metadata.from_texts(texts) == about


def test_in_a_file_with_its_operator_set(tmp_path: Path) -> None:
    file = gated(tmp_path / 'a.onnx')
    with pytest.raises(UserError, match='a.onnx: not written by this `ge-det export`'):
        _ = Session(file).metadata
    about = Metadata('features', classes=('Ä', 'b'), versions=dict(ge_det='1'))
    write_metadata(file, about)
    write_metadata(file, replace(about, precision='int8'))  # In place of the first.
    onnx.checker.check_model(onnx.load(str(file)))
    read = Session(file).metadata
    assert read == replace(about, precision='int8', versions=dict(ge_det='1', opset='18'))


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('mean', 'x'),
        ('std', [1, None, 2]),
        ('scale', [1, 2, 3]),
        ('keep_ratio', 1),
        ('pad_divisor', True),
        ('classes', [1]),
        ('versions', {'torch': 2}),
    ],
)
def test_a_value_of_another_kind(field: str, value: object) -> None:
    texts = Metadata('detect').to_texts() | {field: json.dumps(value)}
    with pytest.raises(UserError, match=f'a.onnx: not written by .* have {field}=.*export it ag'):
        Metadata.from_texts(texts, 'a.onnx')


@pytest.fixture(scope='module')
def described(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Metadata]:
    file = tmp_path_factory.mktemp('config') / 'my.py'
    file.write_text(NARROW_RETINANET)
    cfg = Config.fromfile(str(file))
    return cfg, describe(build(file), cfg, 'detect', ('disc', 'ring'))


def build(file: Path):
    model = build_without_memory(str(file))
    if model.data_preprocessor._enable_normalize:
        from mmdet.registry import MODELS

        settings = Config.fromfile(str(file)).model.data_preprocessor
        model.data_preprocessor = MODELS.build(dict(settings, _scope_='mmdet'))
    return model


def test_of_a_config(described: tuple[Config, Metadata]) -> None:
    _, about = described
    assert about.mean == (123.675, 116.28, 103.53) and about.std == (58.395, 57.12, 57.375)
    assert (about.channels, about.pad_divisor, about.pad_value) == ('RGB', 32, 0.0)
    assert (about.scale, about.keep_ratio, about.size) == ((1333, 800), True, None)
    assert (about.score_threshold, about.classes) == (0.05, ('disc', 'ring'))


def test_of_caffes_colours_and_without_any(tmp_path: Path) -> None:
    file = tmp_path / 'my.py'
    more = (
        'model.update(data_preprocessor=dict(bgr_to_rgb=False, std=[1.0, 1.0, 1.0],'
        ' mean=[1.0, 2.0, 3.0], pad_size_divisor=64))\n'
        'test_dataloader = dict(dataset=dict(pipeline=['
        "dict(type='LoadImageFromFile'), dict(type='mmdet.Resize', scale=(64, 96)),"
        "dict(type='Albu'), dict(type='PackDetInputs')]))\n"
    )
    file.write_text(NARROW_RETINANET + more)
    cfg = Config.fromfile(str(file))
    about = describe(build(file), cfg, 'detect', ())
    assert (about.channels, about.mean, about.pad_divisor) == ('BGR', (1.0, 2.0, 3.0), 64)
    assert (about.scale, about.keep_ratio) == ((64, 96), False)  # Width and height, as they are.
    assert unknown_steps(cfg) == ['Albu']


def test_sizes_that_no_scale_tells() -> None:
    whole, half = dict(type='Resize', scale=(64, 96)), dict(type='Resize', scale_factor=0.5)
    for steps, unknown in (([whole], []), ([half], ['Resize']), ([whole, half], ['Resize'])):
        cfg = Config(dict(test_dataloader=dict(dataset=dict(pipeline=steps))))
        assert unknown_steps(cfg) == unknown


def test_the_hash_is_of_what_the_config_says(
    described: tuple[Config, Metadata], tmp_path: Path
) -> None:
    cfg, about = described
    file = tmp_path / 'elsewhere.py'
    file.write_text('# A remark.\n' + NARROW_RETINANET)
    same = describe(build(file), Config.fromfile(str(file)), 'detect', ())
    assert same.config_sha256 == about.config_sha256
    changed = Config(json.loads(json.dumps(cfg.to_dict())))
    changed.model.neck.out_channels = 8
    other = describe(build(file), changed, 'detect', ())
    assert other.config_sha256 != about.config_sha256
