"""What the README prints works as printed, as far as that needs no network and no training."""

import re
from pathlib import Path

from ge_det.cli.preflight import build_without_memory

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text(encoding='utf-8')


def code(language):
    return re.findall(rf'```{language}\n(.*?)```', README, re.DOTALL)


def test_it_is_short_and_installing_comes_first():
    assert len(README.split()) < 900
    first_screen = README.splitlines()[:40]
    assert 'make setup' in first_screen and 'pip install .' in first_screen


def test_the_lines_of_python_run():
    names = {}
    exec(code('python')[0], names)
    assert names['features'].shape == (2, 256, 30, 41)
    assert [m.shape[1] for m in names['maps']] == [256, 512, 1024, 2048]
    assert len(code('python')[0].split('\n\n')[1].splitlines()) <= 6


def test_the_config_builds(tmp_path):
    (tmp_path / 'my.py').write_text(code('python')[1], encoding='utf-8')
    model = build_without_memory(str(tmp_path / 'my.py'))
    assert len(model.backbone.gates()) == 16


def test_the_switch_on_the_command_line_builds():
    config, option = re.search(r'train (\S+baseline\S+) \\\n +--cfg-options (\S+)', README).groups()
    model = build_without_memory(str(ROOT / config), dict([option.split('=')]))
    assert next(iter(model.backbone.gates())).endswith('se_layer')


def test_a_detector_of_torchvision_takes_gates(peers, capsys):
    fetch = "weights='DEFAULT'"
    assert fetch in code('python')[2]
    exec(code('python')[2].replace(fetch, 'weights_backbone=None'), {})
    assert capsys.readouterr().out.count('backbone.body.layer') >= 16


def test_the_block_table_has_short_names_and_types_that_exist():
    from ge_det.catalogue import BLOCKS, attention_config

    rows = re.findall(r'^\| (`.+?`) \| `(ge_det\.\w+)` \|', README, re.MULTILINE)
    found = {name: kind for names, kind in rows for name in re.findall(r'`([\w-]+)`', names)}
    assert found == {name: attention_config(name)['type'] for name in BLOCKS}
