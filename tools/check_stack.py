#!/usr/bin/env python
"""Run the fast tests and one training on this Python's stack, and put a row into docs/machines.md.

`make stack PYTHON=python3.12 TORCH=2.11.0 FAMILY=onedl NUMPY=1.26.4` sets such a stack up first.
The rows are kept in docs/stacks.json, one a stack; a new run of the same stack takes the place of
the old one. The exit status is 1 when a test failed; the row is written all the same.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
ROWS = ROOT / 'docs/stacks.json'
PAGE = ROOT / 'docs/machines.md'
HEAD = '| Python | torch | family | NumPy | fast tests | training |'
KEY = ('python', 'torch', 'family', 'numpy')

# Each room once; minutes in all, on one core.
FAST = (
    'tests/test_catalogue.py',
    'tests/test_files.py',
    'tests/ops/test_operators.py',
    'tests/backbones/test_block_contract.py',
    'tests/backbones/test_fused_execution.py',
    'tests/backbones/test_plugin_route.py',
    'tests/hooks',
    'tests/weights/test_checkpoint.py',
    'tests/cli/test_doctor.py::test_this_environment_is_sound',
    'tests/lab/evidence/test_gains.py',
)
# From a folder of pictures to a tested detector by the commands: trained, killed, resumed, tested.
TRAINING = ('tests/end_to_end/test_train_kill_resume.py::test_train_kill_resume_test_infer',)


def main() -> int:
    """Check this stack and write its row."""
    row = describe()
    row.update(training=run_tests(TRAINING), tests=run_tests(FAST))
    add(row)
    print(json.dumps(row, indent=1))
    return 1 if row['tests']['failed'] or row['training']['failed'] else 0


def add(row: dict[str, Any]) -> None:
    """Put a row into the list, in the place of an older one of its stack, and into the page."""
    rows = json.loads(ROWS.read_text(encoding='utf-8')) if ROWS.exists() else []
    rows = [other for other in rows if [other[k] for k in KEY] != [row[k] for k in KEY]] + [row]
    rows.sort(key=lambda row: [row[k] for k in KEY])
    ROWS.write_text(json.dumps(rows, indent=1) + '\n', encoding='utf-8')
    page = PAGE.read_text(encoding='utf-8')
    start = page.index(HEAD)
    end = page.find('\n\n', start)
    rest = page[end:] if end >= 0 else '\n'
    PAGE.write_text(page[:start] + table(rows) + rest, encoding='utf-8')


def describe() -> dict[str, Any]:
    """What this stack is made of."""
    installed = {str(d.metadata['Name']).lower(): d.version for d in metadata.distributions()}
    fork = 'onedl-mmcv' in installed
    return {
        'python': platform.python_version(),
        'torch': installed['torch'],
        'family': 'onedl' if fork else 'OpenMMLab',
        'numpy': installed['numpy'],
        'mmcv': installed['onedl-mmcv' if fork else 'mmcv'],
        'mmdet': installed['onedl-mmdetection' if fork else 'mmdet'],
        'setuptools': installed['setuptools'],
        'machine': f'{platform.system()} {platform.machine()}',
        'date': time.strftime('%Y-%m-%d'),
    }


def run_tests(tests: tuple[str, ...]) -> dict[str, Any]:
    """Counts of what pytest says of these tests, and which failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, 'report.xml')
        command = [sys.executable, '-m', 'pytest', '-q', f'--junitxml={report}', *tests]
        environment = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT))
        begun = time.monotonic()
        subprocess.run(command, cwd=ROOT, env=environment)
        cases = list(ElementTree.parse(report).iter('testcase'))
    failed = [c for c in cases if c.find('failure') is not None or c.find('error') is not None]
    skipped = [c for c in cases if c.find('skipped') is not None]
    return {
        'passed': len(cases) - len(failed) - len(skipped),
        'skipped': len(skipped),
        'failed': [f'{case.get("classname")}::{case.get("name")}' for case in failed],
        'seconds': round(time.monotonic() - begun),
    }


def table(rows: list[dict]) -> str:
    """The rows as the table of the page."""
    lines = [HEAD, '|---|---|---|---|---|---|']
    for row in rows:
        cells = [row[k] for k in KEY] + [_result(row.get('tests')), _result(row.get('training'))]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def _result(counts: dict[str, Any] | None) -> str:
    if counts is None:
        return 'not run'
    parts = [f'{counts["passed"]} passed']
    if counts['skipped']:
        parts.append(f'{counts["skipped"]} skipped')
    if counts['failed']:
        parts.append(f'**{len(counts["failed"])} failed**')
    return ', '.join(parts)


if __name__ == '__main__':
    sys.exit(main())
