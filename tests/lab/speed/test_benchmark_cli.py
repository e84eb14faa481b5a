from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib import image as matplotlib_image

from ge_det.catalogue import NAMES
from lab.speed.report import draw_report, format_report
from lab.speed.run import SpeedResults

ROOT = Path(__file__).parents[3]
PATH = ROOT / 'tools/benchmark.py'
SMALL = ['--base-channels', '8', '--size', '96', '64', '--rounds', '1', '--threads', '1']


@pytest.fixture(scope='module')
def tool() -> Any:
    spec = importlib.util.spec_from_file_location('benchmark', PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def threads() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def table(text: str) -> dict[str, dict[str, str]]:
    """Rows of the Markdown table by their first cell, as dicts by column."""
    lines = [line for line in text.splitlines() if line.startswith('|')]
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    return {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[2:]}


def test_backbones_to_table_file_and_picture(
    tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ['--json', str(tmp_path / 'a' / 'x.json'), '--picture', str(tmp_path / 'b' / 'x.png')]
    options = ['--blocks', 'se', 'ge-theta-e8', '--train']
    assert tool.main(['backbones', *SMALL, *options, *files]) == 0
    shown = capsys.readouterr()
    rows = table(shown.out)
    assert list(rows) == ['se', 'ge-theta-e8', 'context-block']
    memory = 'extra activation memory, %: as published / plug-in module / ours'
    for name in ('se', 'ge-theta-e8'):
        for column in ('as published', 'plug-in module', 'ours'):
            median, spread = rows[name][column].split()
            low, high = spread.strip('()').split('-')
            assert 0 < float(low) <= float(median) <= float(high)
        assert [float(share) > 0 for share in rows[name][memory].split(' / ')][:2] == [True] * 2
    assert float(rows['context-block']['mmcv'].split()[0]) > 0
    header = shown.out.split('|')[0]
    for fact in ('training step', 'size 96x64', 'batch 1', 'rounds=1', 'threads=1', 'GB/s'):
        assert fact in header
    assert (
        f'torch {torch.__version__}' in header
        and 'gates in frozen stages are without effect' in header
    )
    assert 'The plain network against itself: ' in header and 'plain again' in shown.out
    assert 'se (1 of 3): plain 1.000' in shown.err

    content = json.loads((tmp_path / 'a/x.json').read_text())
    assert list(content['groups']) == list(rows)
    kept = content['groups']['se']['kept_bytes']
    assert (
        rows['se'][memory].split(' / ')[1] == f'{100 * (kept["module"] / kept["plain"] - 1):+.1f}'
    )
    picture = matplotlib_image.imread(tmp_path / 'b/x.png')
    assert picture.shape[1] == 800 and picture[..., :3].std() > 0.05


def test_blocks_tell_their_share_of_the_copy(
    tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ['--blocks', 'sge', '--against', 'published', '--json', str(tmp_path / 'x.json')]
    assert tool.main(['blocks', *SMALL, *options]) == 0
    rows = table(capsys.readouterr().out)
    assert list(rows) == [f'sge layer{stage}' for stage in (1, 2, 3, 4)]
    groups = json.loads((tmp_path / 'x.json').read_text())['groups']
    for name, row in rows.items():
        ratio = groups[name]['ratios']['ours']['median']
        assert row['ours'].split()[0] == f'{ratio:.3f}'
        assert row['share of the copy bandwidth, ours'] == f'{1 / ratio:.0%}'


def test_in_onnxruntime(tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('onnxruntime')
    file = tmp_path / 'x.json'
    options = ['--depth', '18', '--blocks', 'sge', '--against', '--onnx', '--json', str(file)]
    assert tool.main(['backbones', *SMALL, *options]) == 0
    row = table(capsys.readouterr().out)['sge']
    for column in ('ours', 'plain in onnxruntime', 'ours in onnxruntime'):
        assert float(row[column].split()[0]) > 0
    found = json.loads(file.read_text())['groups']['sge']['difference']
    assert 0 < found['ours-onnx'] < 1e-4


def test_compiled(
    tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Inductor takes minutes; test_compiled.py of the backbones has it.
    monkeypatch.setattr(torch, 'compile', partial(torch.compile, backend='aot_eager'))
    file = tmp_path / 'x.json'
    options = ['--depth', '18', '--blocks', 'sge', '--against', '--compiled', '--json', str(file)]
    assert tool.main(['backbones', *SMALL, *options, '--train']) == 0
    row = table(capsys.readouterr().out)['sge']
    group = json.loads(file.read_text())['groups']['sge']
    ratio = group['seconds']['ours-compiled'][0] / group['seconds']['plain-compiled'][0]
    assert row['ours compiled over plain compiled'].split()[0] == f'{ratio:.3f}'
    assert group['difference']['ours-compiled'] < 1e-4
    assert group['kept_bytes']['ours-compiled'] > 0
    assert tool.main(['blocks', *SMALL, '--compiled']) == 2
    assert capsys.readouterr().err == 'benchmark: --compiled is for backbones: leave it out\n'


def test_valid_area_over_the_same_block_without_it(
    tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ['--blocks', 'ge-theta-e8', '--against', '--valid-area', '--batch', '2', '--json']
    file, picture = tmp_path / 'x.json', ['--picture', str(tmp_path / 'x.png')]
    assert tool.main(['backbones', *SMALL, *options, str(file), *picture]) == 0
    row = table(capsys.readouterr().out)['ge-theta-e8']
    seconds = json.loads(file.read_text())['groups']['ge-theta-e8']['seconds']
    ratio = seconds['own-areas'][0] / seconds['ours'][0]
    assert row['ours, valid_area over ours'].split()[0] == f'{ratio:.3f}'
    assert (tmp_path / 'x.png').is_file()


def test_going_on_measures_only_what_lacks(
    tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ['backbones', *SMALL, '--against', '--json', str(tmp_path / 'x.json'), '--blocks']
    assert tool.main([*command, 'se']) == 0
    first = table(capsys.readouterr().out)
    assert tool.main([*command, 'se', 'sge']) == 0
    shown = capsys.readouterr()
    assert shown.err.startswith('sge (1 of 1)')
    second = table(shown.out)
    assert second['se'] == first['se'] and list(second) == ['se', 'sge']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--blocks', 'foo'], f"block 'foo' is unknown: choose from {', '.join(NAMES[1:])}"),
        (['--size', '63', '640'], 'size 63 640 is too small: give at least 64'),
        (['--gates', 'new'], "gates 'new' is unknown: choose from fresh, loaded, learning"),
        (['--device', 'tpu'], "device 'tpu' is unknown"),
        (['--device', 'cuda:77'], "device 'cuda:77': torch sees no such GPU here"),
        (['--rounds', '0'], 'rounds 0 must be 1 or more'),
        (['--onnx', '--train'], '--onnx is for backbones in inference on the CPU'),
        (['--valid-area'], '--valid-area is for backbones with pictures of several sizes: give'),
        (['--against', 'timm'], "against 'timm' is unknown: choose from plugin, published, peers"),
        (['--picture', 'x.jpg'], '--picture x.jpg: the name must end in .png'),
        (['--json', __file__], f'{__file__} holds no figures of this benchmark'),
        (
            ['--json', f'{__file__}/x.json'],
            f"[Errno 17] File exists: '{__file__}': a file stands where a folder is needed; name",
        ),
        (['--depth', '18', '--base-channels', '8', '--blocks', 'se'], 'ratio=16 is not allowed'),
    ],
)
def test_errors_are_one_line(
    tool: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert tool.main(['backbones', '--size', '64', '64', *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f'benchmark: {message}')
    assert shown.err.count('\n') == 1 and not shown.out


def test_a_folder_is_no_picture(
    tool: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / 'x.png'
    folder.mkdir()
    assert tool.main(['backbones', '--picture', str(folder)]) == 2
    assert capsys.readouterr().err == f'benchmark: --picture {folder} is a folder: name a file\n'


def test_detectors_name_what_is_wrong(tool: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(['detectors', '--config', 'none.py']) == 2
    assert capsys.readouterr().err == 'benchmark: none.py: no such config file; check --config\n'
    assert tool.main(['detectors', '--amp', '--device', 'cpu']) == 2
    assert 'leave --amp out' in capsys.readouterr().err


def test_an_interruption_is_one_line_and_keeps_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / 'x.json'
    command = [sys.executable, str(PATH), 'backbones', *SMALL, '--against', '--json', str(file)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert line.startswith('se (1 of 10): plain 1.000, control ')
    assert process.returncode == 130 and not out
    assert err.splitlines()[-1] == 'benchmark: interrupted; run it again and it goes on'
    assert 'Traceback' not in err
    assert 'se' in json.loads(file.read_text())['groups']


@pytest.mark.parametrize('name', sorted(f.stem for f in (ROOT / 'docs/speed').glob('*.json')))
def test_committed_figures_can_be_reported(name: str, tmp_path: Path) -> None:
    content = json.loads((ROOT / f'docs/speed/{name}.json').read_text())
    results = SpeedResults(
        content['settings'],
        content['environment'],
        bandwidth=content['copy_bytes_per_second'],
        groups=content['groups'],
    )
    rows = table(format_report(results))
    assert list(rows) == list(content['groups'])
    block, group = next(iter(content['groups'].items()))
    assert rows[block]['ours'].startswith(f'{group["ratios"]["ours"]["median"]:.3f} (')
    draw_report(results, tmp_path / 'speed.png')
    assert matplotlib_image.imread(tmp_path / 'speed.png')[..., :3].std() > 0.05


def test_help_is_quick_since_it_imports_no_torch() -> None:
    code = (
        f'import sys; sys.path.insert(0, {str(PATH.parent)!r}); import benchmark\n'
        'try: benchmark.main(["--help"])\n'
        'finally: sys.stderr.write(str({"torch", "mmengine", "numpy"} & set(sys.modules)))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert 'usage: ' in done.stdout and done.stderr == 'set()'
