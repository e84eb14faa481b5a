"""Try ge_det with bad input and bad luck, and write docs/reliability.md.

python tools/reliability.py                     # all tables, about 10 minutes on two cores
python tools/reliability.py kills signals       # some; the others stay as they are in the JSON
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ge_det.cli.errors import run_command
from ge_det.files import read_json, write_whole
from lab.cores import cores

from .table import Table

if TYPE_CHECKING:
    from .place import Place

TABLES = ('files', 'coco', 'options', 'kills', 'states', 'signals', 'growth', 'threads')
ROOT = Path(__file__).resolve().parents[2]

HEAD = """# Reliability

What happens with bad input and bad luck, counted. `python tools/reliability.py` tries all of it
again and writes this page; the raw figures are in [reliability.json](reliability.json). A try is
the command a user would type, in a process that is forked from one which has imported everything;
so are the processes that it starts.

{machine}
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; torch is not imported for that."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('tables', nargs='*', metavar='TABLE', help=f'of {", ".join(TABLES)}; default: all')
    add('--jobs', type=int, default=len(cores()), help='at a time; %(default)s')
    what = 'where the tries are made; %(default)s'
    add('--work-dir', type=Path, default=ROOT / 'work_dirs/reliability', help=what)
    add('--out', type=Path, default=ROOT / 'docs', help='folder of the page; %(default)s')
    args = parser.parse_args(argv)
    if unknown := sorted(set(args.tables) - set(TABLES)):
        parser.error(f'there is no table {unknown[0]!r}; there are {", ".join(TABLES)}')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 1 if anything was not as it should be."""
    args = parse_args(argv)
    return run_command('reliability', lambda: _run(args), 'tables that were done are kept')


def _run(args: argparse.Namespace) -> int:
    from .forks import quick_forks
    from .place import Place

    os.environ['OMP_NUM_THREADS'] = '1'
    with quick_forks():
        return _fill(args, Place(args.work_dir))


def _fill(args: argparse.Namespace, place: Place) -> int:
    begun = time.monotonic()
    place.prepare()
    print(f'prepared in {time.monotonic() - begun:.0f} s')
    raw = args.out / 'reliability.json'
    content: dict[str, Any] = read_json(raw) or {}
    tables: dict[str, Any] = content.get('tables', {})
    faults = 0
    for name in args.tables or TABLES:
        begun = time.monotonic()
        try:
            table = importlib.import_module(f'{__package__}.tables.{name}').run(place, args.jobs)
        except Exception:  # The others are worth having all the same.
            traceback.print_exc()
            print(f'{name}: not done; `python tools/reliability.py {name}` tries it again')
            faults += 1
            continue
        table.seconds = time.monotonic() - begun
        table.faults = [fault.replace(str(place.folder), '.') for fault in table.faults]
        print(table.markdown())
        faults += len(table.faults)
        tables[name] = table.as_dict() | {'machine': _machine()}
        ordered = {key: tables[key] for key in TABLES if key in tables}
        args.out.mkdir(parents=True, exist_ok=True)
        write_whole(raw, json.dumps({'tables': ordered}, indent=1).encode('utf-8'))
        _write_page(args.out / 'reliability.md', ordered)
    return int(faults > 0)


def _write_page(file: Path, tables: dict[str, Any]) -> None:
    machines = sorted({values['machine'] for values in tables.values()})
    sections = [
        Table(**{k: v for k, v in values.items() if k != 'machine'}).markdown()
        for values in tables.values()
    ]
    page = '\n'.join([HEAD.format(machine='\n\n'.join(machines)), *sections])
    write_whole(file, page.encode('utf-8'))


def _machine() -> str:
    import mmcv
    import mmdet
    import mmengine
    import torch

    from ge_det import __version__

    return (
        f'ge_det {__version__}, Python {platform.python_version()}, torch {torch.__version__}, '
        f'mmdet {mmdet.__version__}, mmengine {mmengine.__version__}, mmcv {mmcv.__version__}, '
        f'{len(cores())} cores, no GPU.'
    )
