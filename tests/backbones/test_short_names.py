"""``attention='sge'``: a short name instead of the dict, in configs and on command lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config

from ge_det import AttentionResNet
from ge_det.catalogue import CLASSES, NAMES, attention_config, stage_channels
from ge_det.config_reader import parse_change, read_config
from ge_det.config_writer.options import UserConfig
from ge_det.config_writer.text import write_config
from ge_det.errors import UserError
from ge_det.weights.gate_record import read_record

NARROW: dict[str, Any] = dict(depth=18, base_channels=16)


def block_of(backbone: AttentionResNet) -> str:
    return str(next(iter(backbone.gates().values()), None))


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('depth', [18, 50])
def test_a_short_name_is_the_dict_at_this_width(name: str, depth: int) -> None:
    size: dict[str, Any] = dict(depth=depth, base_channels=16)
    block = attention_config(name, stage_channels(**size)[0])
    named, given = AttentionResNet(**size, attention=name), AttentionResNet(**size, attention=block)
    shapes = [
        {key: value.shape for key, value in backbone.state_dict().items()}
        for backbone in (named, given)
    ]
    assert shapes[0] == shapes[1]
    assert str(named) == str(given)
    assert bool(named.gates()) == (name != 'none')


def test_the_type_of_a_dict_may_be_a_short_name() -> None:
    named = AttentionResNet(**NARROW, attention=dict(type='se', bias=False))
    given = AttentionResNet(**NARROW, attention=dict(type='ge_det.SqueezeExcite', bias=False))
    assert str(named) == str(given)
    assert not AttentionResNet(**NARROW, attention=dict(type='none')).gates()


@pytest.mark.parametrize('attention', ['sgee', dict(type='sgee')])
def test_an_unknown_name_is_told_with_what_there_is(attention: Any) -> None:
    near = "'sgee': no such block; did you mean sge, se" if attention == 'sgee' else 'is not a bl'
    with pytest.raises(ValueError, match=near):
        AttentionResNet(50, attention=attention)


def written(tmp_path: Path, attention: str, name: str = 'my.py', base: str = '') -> Path:
    lines, size = [f'_base_ = {base!r}'], ''
    if not base:
        lines, size = ["default_scope = 'mmdet'"], 'depth=18, base_channels=16, '
        size += "type='ge_det.AttentionResNet', "
    path = tmp_path / name
    path.write_text(
        '\n'.join([*lines, f'model = dict(backbone=dict({size}attention={attention}))'])
    )
    return path


@pytest.mark.parametrize('change', ['se', "'se'", 'ge-theta-e8', 'none', 'None'])
@pytest.mark.parametrize('there', ["'sge'", "dict(type='ge_det.SpatialGroupEnhance', groups=16)"])
def test_one_word_on_the_command_line_changes_the_block(
    tmp_path: Path, there: str, change: str
) -> None:
    register_all_modules()
    changes = parse_change(f'model.backbone.attention={change}')
    cfg = read_config(str(written(tmp_path, there)), changes)
    cfg.dump(tmp_path / 'dumped.py')  # As MMEngine does in a work dir.
    again = Config.fromfile(tmp_path / 'dumped.py')
    built = [MODELS.build(one.model.backbone) for one in (cfg, again)]
    wanted = AttentionResNet(**NARROW, attention=change.strip("'").replace('None', 'none'))
    assert str(built[0]) == str(built[1]) == str(wanted)


def test_a_name_replaces_the_dict_of_a_base_config(tmp_path: Path) -> None:
    written(tmp_path, "dict(type='ge_det.SpatialGroupEnhance', groups=16)")
    path = written(tmp_path, "'se'", 'child.py', './my.py')
    assert read_config(str(path)).model.backbone.attention == 'se'


@pytest.mark.parametrize('name', NAMES[1:])
@pytest.mark.parametrize('there', ["'sge'", "'ge-theta-e8'", "'none'"])
def test_a_type_on_the_command_line_changes_the_block_of_a_name(
    tmp_path: Path, there: str, name: str
) -> None:
    register_all_modules()
    wanted = attention_config(name, 16)
    assert wanted
    changes = {f'model.backbone.attention.{key}': value for key, value in wanted.items()}
    cfg = read_config(str(written(tmp_path, there)), changes)
    block = block_of(AttentionResNet(**NARROW, attention=name))
    assert block_of(MODELS.build(cfg.model.backbone)) == block
    changes = {'model.backbone.attention.type': name}
    assert read_config(str(written(tmp_path, there)), changes).model.backbone.attention == {
        'type': name
    }


@pytest.mark.parametrize('kind', CLASSES)
@pytest.mark.parametrize('there', ['none', 'sge', 'ge-theta-e8'])
def test_a_class_on_the_command_line_changes_the_block_of_make_configs(
    tmp_path: Path, there: str, kind: str
) -> None:
    register_all_modules()
    paths = dict.fromkeys(('train_json', 'val_json', 'train_images', 'val_images'), 'x')
    size: dict[str, Any] = dict(small=True, depth=18, base_channels=16, pretrained='none')
    options = UserConfig(**paths, classes=('cat',), num_images=9, epochs=1, **size, attention=there)
    changes = {'model.backbone.attention.type': f'ge_det.{kind}'}
    by_mmengine = Config.fromfile(write_config(options, tmp_path / 'my.py'))
    by_mmengine.merge_from_dict(changes)  # As mmdet's own tools do.
    for cfg in (by_mmengine, read_config(str(tmp_path / 'my.py'), changes)):
        gates = MODELS.build(cfg.model.backbone).gates().values()
        assert {type(gate) for gate in gates} == {CLASSES[kind]}


@pytest.mark.parametrize('kind', CLASSES)
def test_a_class_on_the_command_line_changes_the_block_of_our_configs(kind: str) -> None:
    register_all_modules()
    path = 'configs/coco/sge/faster-rcnn_r50-sge_fpn_2x_coco.py'
    changes = {'model.backbone.attention.type': f'ge_det.{kind}', 'model.backbone.pretrained': None}
    cfg = read_config(str(Path(__file__).parents[2] / path), changes)
    gates = MODELS.build(cfg.model.backbone).gates().values()
    assert {type(gate) for gate in gates} == {CLASSES[kind]}


def test_an_argument_goes_into_a_name_unless_it_is_none(tmp_path: Path) -> None:
    change = {'model.backbone.attention.groups': 8}
    cfg = read_config(str(written(tmp_path, "'sge'")), change)
    assert cfg.model.backbone.attention == dict(type='sge', groups=8)
    with pytest.raises(UserError, match=r"attention is the text 'none' .*; give model\.\S+=VALUE$"):
        read_config(str(written(tmp_path, "'none'")), change)


def test_a_type_on_the_command_line_changes_the_block_of_a_dict(tmp_path: Path) -> None:
    register_all_modules()
    path = written(tmp_path, "dict(type='ge_det.GatherExcite')")
    cfg = read_config(str(path), {'model.backbone.attention.type': 'se'})
    wanted = block_of(AttentionResNet(**NARROW, attention='se'))
    assert block_of(MODELS.build(cfg.model.backbone)) == wanted


@pytest.mark.parametrize('name', [name for name in NAMES if 'minus' in name])
def test_a_checkpoint_tells_a_block_without_weights_by_its_name(name: str) -> None:
    texts = [
        f'model = dict(backbone=dict(depth=18, attention={attention!r}))'
        for attention in (name, attention_config(name))
    ]
    records = [read_record(dict(cfg=text)) for text in texts]
    assert records[0] == records[1]
    assert [used.weightless_kind for used in records[0].used] != [None]
