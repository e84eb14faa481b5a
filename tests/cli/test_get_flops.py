"""The command line that counts parameters and FLOPs."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ge_det.errors import UserError
from ge_det.flops import config_network
from ge_det.flops.config_network import count_config, default_shape
from ge_det.flops.count import CONVENTIONS
from lab.cost import comparison
from lab.cost.published import PUBLISHED, SGE

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'get_flops.py'
PLAIN = ROOT / 'lab' / 'configs' / '_base_' / 'faster-rcnn_r50-narrow.py'
E8 = [
    f'model.backbone.attention.{key}'
    for key in ('type=ge_det.GatherExcite', 'variant=theta', 'extent=8')
]
CLASSIFIER = ROOT / 'configs' / 'imagenet' / 'sge' / 'resnet50-sge_8xb32_in1k.py'
SMALL = ('--shape', 64, 90)


@pytest.fixture(scope='module')
def tool() -> Any:
    spec = importlib.util.spec_from_file_location('get_flops', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(tool: Any, *arguments: object, code: int = 0) -> None:
    assert tool.main([str(argument) for argument in arguments]) == code


def rows(file: Path) -> dict[str, dict[str, int]]:
    found = json.loads(file.read_text(encoding='utf-8'))['rows']
    return {row['kind']: row for row in found if row['kind'] in ('whole', 'trunk', 'gates')}


def test_a_detector_is_counted(
    tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tool, PLAIN, *SMALL, '--cfg-options', *E8, '--json', tmp_path / 'gated.json')
    out = capsys.readouterr().out
    assert 'one image of 64x90, padded to 64x96' in out
    assert 'gates: 16 GatherExcite' in out
    for part in ('backbone', 'neck', 'rpn_head', 'roi_head'):
        assert f'all of {part} ' in out
    run(tool, PLAIN, *SMALL, '--json', tmp_path / 'plain.json')
    assert 'There is no attention block in this network.' in capsys.readouterr().out

    gated, plain = rows(tmp_path / 'gated.json'), rows(tmp_path / 'plain.json')
    # A quarter of the published width: E8 adds 33 parameters for each of 15,104 / 4 channels.
    assert gated['gates']['parameters'] == 33 * 15_104 // 4
    for number in ('parameters', 'trainable', 'statistics', 'flops'):
        assert gated['trunk'][number] == plain['whole'][number] == plain['trunk'][number]
        assert gated['whole'][number] == gated['trunk'][number] + gated['gates'][number]
        assert plain['gates'][number] == 0
    assert gated['gates']['flops'] > 0
    content = json.loads((tmp_path / 'gated.json').read_text(encoding='utf-8'))
    stages = [row for row in content['rows'] if row['kind'] == 'stage']
    assert [row['part'] for row in stages] == [f'backbone.layer{n}' for n in (1, 2, 3, 4)]
    assert sum(row['flops'] for row in stages) == gated['gates']['flops']
    parts = [row for row in content['rows'] if row['kind'] == 'part']
    assert sum(row['parameters'] for row in parts) == gated['whole']['parameters']


def test_a_plain_detector_costs_what_mmdets_tool_prints() -> None:
    counted = count_config(str(PLAIN), shape=(64, 96))
    from mmdet.registry import MODELS
    from mmdet.structures import DetDataSample

    # The same call as in its tools/analysis_tools/get_flops.py, on the same untrained weights.
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(Config.fromfile(PLAIN).model).eval()
    torch.manual_seed(0)
    meta = dict(img_shape=(64, 96), ori_shape=(64, 96), scale_factor=(1.0, 1.0))
    image = torch.zeros(3, 64, 96, dtype=torch.uint8)
    data = dict(inputs=[image], data_samples=[DetDataSample(metainfo=meta)])
    data = model.data_preprocessor(data, False)
    model.forward = partial(model.forward, data_samples=data['data_samples'])
    theirs = get_model_complexity_info(
        model, None, inputs=data['inputs'], show_table=False, show_arch=False
    )
    assert counted.cost.flops() == theirs['flops']
    assert counted.cost.parameters[''].total == theirs['params']


def test_a_block_can_be_put_in_on_the_command_line(
    tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    option = 'model.backbone.attention.type=ge_det.SqueezeExcite'
    file = tmp_path / 'cost.json'
    run(tool, PLAIN, *SMALL, '--trunk', 'all', '--cfg-options', option, '--json', file)
    assert 'gates: 16 SqueezeExcite' in capsys.readouterr().out
    run(tool, PLAIN, *SMALL, '--cfg-options', option, '--json', tmp_path / 'usual.json')
    everything, usual = rows(file), rows(tmp_path / 'usual.json')
    assert everything['gates'] == usual['gates']
    assert everything['trunk']['flops'] > usual['trunk']['flops']


@pytest.mark.usefixtures('peers')
def test_a_classifier_is_counted(tool: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(tool, CLASSIFIER)
    out = capsys.readouterr().out
    assert 'one image of 224x224\n' in out
    whole = out.splitlines()[2].split()
    assert whole[:2] == ['ImageClassifier', '25,559,080']
    trunk = out.splitlines()[3].split()
    # MMEngine's convention: 4.0892 multiply-adds, 0.0222 normalisation, 0.0001 pooling.
    assert (trunk[0], trunk[1], trunk[-2]) == ('trunk', '25,557,032', '4.1115')
    assert 'gates: 16 SpatialGroupEnhance  ' in out


def test_published_costs_are_compared(
    tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    lines = [line for line in PUBLISHED if line.source == SGE and line.depth == 50][:2]
    monkeypatch.setattr(comparison, 'compare', partial(comparison.compare, lines))
    run(tool, '--published', '--json', tmp_path / 'published.json')
    out = capsys.readouterr().out
    assert out.startswith(f'published: {SGE.title}')
    assert out.rstrip().endswith('4 of 4 published figures are equal to the printed digits.')
    content = json.loads((tmp_path / 'published.json').read_text(encoding='utf-8'))
    assert [row['network'] for row in content] == ['R50', 'R50 se']
    assert [row['flops']['published'] for row in content] == ['4.122', '4.130']
    assert all(row['flops']['equal'] and row['parameters']['equal'] for row in content)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'give either a CONFIG or --published'),
        ([PLAIN, '--published'], 'give either a CONFIG or --published'),
        (['none.py'], 'none.py: no such config file; check the path'),
        ([ROOT / 'pyproject.toml'], 'not a config that can be read'),
        ([PLAIN, '--shape', 0, 64], '--shape 0 64: height and width must be at least 1'),
        ([PLAIN, '--shape', -3, 64], '--shape -3 64: height and width must be at least 1'),
        ([PLAIN, '--json', ROOT], 'is a folder; give the name of a file'),
        ([PLAIN, '--json', ROOT / 'none' / 'x.json'], 'its folder does not exist'),
        (
            [PLAIN, '--cfg-options', 'model.backbone.attention.type=ge_det.CBAM'],
            "attention type 'ge_det.CBAM' is not a block",
        ),
        (
            [PLAIN, '--cfg-options', 'model.neck.in_channels=[1,2,3,4]', *SMALL],
            'the network does not run on an image of 64x90',
        ),
    ],
)
def test_mistakes_take_one_line(
    tool: Any, capsys: pytest.CaptureFixture[str], arguments: list[object], message: str
) -> None:
    run(tool, *arguments, code=2)
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith('get_flops: ')
    assert message in errors[0]


def test_a_config_without_an_image_size_asks_for_one(tmp_path: Path) -> None:
    config = tmp_path / 'my.py'
    config.write_text(f'_base_ = {str(PLAIN)!r}\ntest_dataloader = dict(_delete_=True)\n')
    with pytest.raises(ValueError, match='says no image size; give --shape H W'):
        count_config(str(config), dict(val_dataloader=None))


def test_the_size_is_that_of_the_test_pipeline() -> None:
    coco = ROOT / 'configs' / 'coco' / 'sge' / 'faster-rcnn_r50-sge_fpn_2x_coco.py'
    assert default_shape(Config.fromfile(coco)) == (800, 1333)
    assert default_shape(Config.fromfile(CLASSIFIER)) == (224, 224)
    assert default_shape(Config.fromfile(PLAIN)) == (144, 144)
    scoped = dict(pipeline=[dict(type='mmdet.Resize', scale=(96, 64))])
    assert default_shape(Config(dict(test_dataloader=dict(dataset=scoped)))) == (64, 96)


def test_an_interruption_takes_one_line(
    tool: Any, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(config_network, 'count_cost', interrupted)
    run(tool, PLAIN, *SMALL, code=130)
    assert capsys.readouterr().err == '\nget_flops: interrupted; run it again\n'


def test_the_conventions_of_the_command_line_are_all_there_are(
    tool: Any,
) -> None:
    for name in CONVENTIONS:
        assert tool.parse_args(['x.py', '--trunk', name]).trunk == name
    with pytest.raises(UserError) as caught:
        tool.parse_args(['x.py', '--trunk', 'macs'])
    assert all(name in str(caught.value) for name in CONVENTIONS)


def test_the_script_runs() -> None:
    command = [sys.executable, str(TOOL), 'none.py']
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, '')
    assert done.stderr == 'get_flops: none.py: no such config file; check the path\n'
