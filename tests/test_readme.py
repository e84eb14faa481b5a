"""What the README prints works as printed, as far as that needs no network and no training."""

import re
from pathlib import Path

from mmdet.registry import MODELS

from ge_det.cli.preflight import build_without_memory

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text(encoding='utf-8')


def code(language):
    return re.findall(rf'```{language}\n(.*?)```', README, re.DOTALL)


def test_the_first_config_builds(tmp_path):
    (tmp_path / 'my.py').write_text(code('python')[0], encoding='utf-8')
    model = build_without_memory(str(tmp_path / 'my.py'))
    assert len(model.backbone.gates()) == 16


def test_the_plugin_line_builds():
    names = {}
    exec(code('python')[1], names)
    MODELS.build(dict(type='ResNet', depth=50, plugins=names['plugins']))


def test_every_file_of_ours_exists():
    files = re.findall(r'(?:tools|configs|docs)/[\w./-]+\.\w+', README)
    assert len(files) > 10
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_the_switch_on_the_command_line_builds():
    config, option = re.search(
        r'train.py (\S+baseline\S+) \\\n +--cfg-options (\S+)', README
    ).groups()
    model = build_without_memory(str(ROOT / config), dict([option.split('=')]))
    assert next(iter(model.backbone.gates())).endswith('se_layer')
