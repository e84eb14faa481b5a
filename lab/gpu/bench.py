"""The speed benchmark of backbones in several settings: published, plug-in and ours over plain."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from typing import Any

import torch

from ge_det.catalogue import BLOCKS
from lab.gpu.telling import arguments, guarded, seconds, tell
from lab.speed.report import format_report
from lab.speed.run import SpeedResults, run_benchmark
from lab.speed.settings import SpeedSettings

FEW = ('se', 'ge-theta-minus-e8', 'ge-theta-e8', 'sge')
REST = tuple(block for block in BLOCKS if block not in FEW)
# Changes of the settings, and blocks, in order of importance.
MAIN: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    (dict(train=True, amp=True), BLOCKS),
    (dict(amp=True), BLOCKS),
]
MORE: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    (dict(train=True), FEW),
    (dict(train=True, amp=True, channels_last=True), FEW),
    (dict(), FEW),
    (dict(amp=True, batch=1), FEW),
    (dict(amp=True, channels_last=True), FEW),
    (dict(train=True, amp=True, size=(800, 1344)), FEW),
    (dict(train=True), REST),
    (dict(), REST),
]


def main() -> None:
    """Each setting, block by block, as long as there is time."""
    parser = arguments(__doc__)
    parser.add_argument('--more', action='store_true', help='the settings of less importance')
    args = parser.parse_args()
    base: dict[str, Any] = dict(
        batch=8, rounds=3, threads=torch.get_num_threads(), device=args.device
    )
    base['against'] = ('published', 'plugin')
    if args.tiny:
        base |= dict(batch=1, rounds=1, base_channels=8, size=(96, 64))
    folder = Path(mkdtemp())
    for index, (changes, blocks) in enumerate(MORE if args.more else MAIN):
        said = [key if value is True else f'{key} {value}' for key, value in changes.items()]
        name = ' '.join(said) or 'inference in float32'
        settings = SpeedSettings('backbones', **{**base, **changes})
        results = SpeedResults.open(settings, folder / f'{index}.json')
        with guarded(name):
            for block in blocks[:1] if args.tiny else blocks:
                if seconds() > args.limit:
                    tell(name, f'{name}: no time for {block}')
                    continue
                with guarded(f'{name}: {block}'):
                    run_benchmark(settings, [block], results)
                if block not in results.groups:
                    continue
                row = results.groups[block]
                ratios = ' / '.join(f'{k} {v["median"]:.3f}' for k, v in row['ratios'].items())
                peaks = ' / '.join(str(peak >> 20) for peak in row.get('peak_bytes', {}).values())
                plain = f'{1000 * median(row["seconds"]["plain"]):.1f} ms'
                line = f'{name}: {block}: {ratios}; plain {plain}; MiB at peak: {peaks or "-"}'
                tell(f'{name} {block}', line, settings=settings.to_json(), **row)
            if results.groups:
                print(format_report(results))
        if args.tiny:
            break


if __name__ == '__main__':
    main()
