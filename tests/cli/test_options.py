"""Every option with values that nobody should give: it works, or one line with exit code 2."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path

import pytest
from command_inputs import write_inputs
from command_line import exit_code
from PIL import Image

pytest.importorskip('mmdet')


NARROW = Path(__file__).parents[2] / 'lab/configs/_base_/faster-rcnn_r50-narrow.py'
ODD = (
    *('', '.', '/nowhere/x', '\u2028{{ x }}\n', 'a\udcffb', '-1', '0', 'nan', '1e99', '9' * 20),
    '~nobody/x',
)
DATA = '--train-json train.json --val-json val.json --images images'
COMMANDS = {
    'make-config': f'{DATA} --out new/my.py --force --no-measure',
    'make-context-shapes': '--out new/set --train 1 --val 1 --quiet --overwrite',
    'import-weights': '--checkpoint plain.pth --attention se --dry-run',
    'publish': 'trained.pth --out new/',
    'flops': f'{NARROW} --shape 64 64',
    'blocks': '',
    'infer': 'one.png --config my.py --checkpoint none.pth --out new/out',
    'report': 'new',
    'compare': 'my.py --work-dir new/runs --dry-run',
    'train': 'my.py --work-dir new/runs',
    'test': 'my.py none.pth --work-dir new/runs',
    'train-classifier': 'my.py --work-dir new/runs',
}
WORKS = ('--help', '--version', '--local_rank', '--local-rank')
SLOW = ('flops', 'import-weights')  # Where they work.
BOUNDED = ('--train', '--val')  # Of the drawn set: that many pictures are drawn.


@pytest.fixture(scope='module')
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('inputs')
    write_inputs(folder)
    Image.new('RGB', (8, 8)).save(folder / 'one.png')
    (folder / 'my.py').write_text('model = 3')
    return folder


def told(command: str, arguments: list[str]) -> str | None:
    """What is wrong with how a command ends, if something is."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = exit_code(command, *arguments)
    except Exception as error:
        return f'{arguments}: {type(error).__name__}: {error}'
    said = err.getvalue()
    *before, last = said.splitlines() or ['']
    if command == 'make-config':  # It names every fault of the data first.
        before = [line for line in before if not re.match('(error|warning): ', line)]
    is_right = code == 0 or (code == 2 and not before and last.startswith(f'{command}: '))
    return None if is_right else f'{arguments}: {code}, {said!r}'


@pytest.mark.parametrize('command', COMMANDS)
def test_odd_values(command: str, inputs: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(inputs)
    monkeypatch.setattr(sys, 'argv', ['ge-det'])
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    monkeypatch.setenv('LOCAL_RANK', '0')
    (inputs / 'new').mkdir(exist_ok=True)
    assert exit_code(command, '--help') == 0
    flags = set(re.findall(r'(?<![\w-])--[a-z][\w-]*', capsys.readouterr().out)) - set(WORKS)
    base = COMMANDS[command].split()
    tries = [[*base, flag] for flag in flags] + [[*base, '--no-such-flag'], [], ['x', *base]]
    for flag in sorted(flags):
        values = ODD[:-4] if flag in BOUNDED else [*ODD[::3], ODD[-1]] if command in SLOW else ODD
        tries += [[*base, f'{flag}={value}'] for value in values]
    wrong = [told(command, arguments) for arguments in tries]
    assert [line for line in wrong if line] == []
