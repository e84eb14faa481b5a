"""Made-up cells for reports, and a way to read tables."""

import math
import random

from lab.evidence.key import CellKey
from lab.evidence.results.result import CellResult

NAN = math.nan
SETTING = dict(data='shapes', detector='faster-rcnn', depth=50, schedule='2x', start='scratch')
GAINS = {'none': 0.0, 'se': 0.004, 'sge': 0.02, 'ge-theta-e8': -0.006}


def key(attention='none', seed=0, **changes):
    return CellKey(**{**SETTING, **changes}, attention=attention, seed=seed)


def cell(key, ap=0.3, kind='bbox', **fields):
    name = 'top1' if kind == 'accuracy' else 'AP'
    return CellResult(
        key, 'f' * 16, 'configs/x.py', [f'train {key.name}'], {kind: {'all': {name: ap}}}, **fields
    )


def rich_cell(key, kinds=('bbox',)):
    """A cell with all that a result may have, drawn at random, but the same each time."""
    draw = random.Random(f'{key.detector} {key.seed}')
    base = 0.3 + draw.gauss(0, 0.004) + GAINS[key.attention]
    own = random.Random(key.name)
    groups, resamples = {}, {}
    for group, shift in {'all': 0, 'context': -0.1, 'other': 0.05}.items():
        ap = base + shift + own.gauss(0, 0.003)
        sizes = {'APs': ap - 0.15, 'APm': ap, 'APl': NAN}
        groups[group] = {'AP': ap, 'AP50': ap + 0.2, 'AP75': ap - 0.02, **sizes}
        images = random.Random(1)
        values = [ap + images.gauss(0, 0.01) + own.gauss(0, 0.004) for _ in range(50)]
        resamples[group] = {'AP': values, 'AP50': [value + 0.2 for value in values]}
    classes = {c: {'AP': base + own.gauss(0, 0.02), 'AP50': base} for c in ('buoy', 'b|x <y>')}
    loss = [(20 * i, 3 * math.exp(-i / 25) + own.uniform(0, 0.3)) for i in range(1, 100)]
    ap_curve = [(500 * i, base * (1 - 0.5**i)) for i in range(1, 5)]
    return CellResult(
        key=key,
        fingerprint=f'{own.getrandbits(64):016x}',
        config='configs/x.py',
        commands=[f'python tools/train.py configs/x.py --seed {key.seed}'],
        metrics=dict.fromkeys(kinds, groups),
        classes=dict.fromkeys(kinds, classes),
        resamples=dict.fromkeys(kinds, resamples),
        curve={'loss': loss} | {f'{kind} AP': ap_curve for kind in kinds},
        cost=dict(
            parameters=23 + 40 * abs(GAINS[key.attention]),
            gflops=80 + 9 * abs(GAINS[key.attention]),
        ),
        images=dict(train=500, val=150),
        iterations=2000,
        hours=dict(training=1.25, test=0.05),
        machine=dict(cpu='Some CPU', cores=16, threads=2, gpu=None),
        versions=dict(python='3.11.9', torch='2.8.0', ge_det='abc123'),
    )


def example():
    return [
        rich_cell(key(attention, seed, detector=detector), kinds)
        for detector, kinds in {'faster-rcnn': ['bbox'], 'mask-rcnn': ['bbox', 'segm']}.items()
        for attention in GAINS
        for seed in range(3)
    ]


def rows_of(table):
    return {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}


def read_results(folder):
    """Results of all cells in a folder, in the order of their names."""
    return [CellResult.read(file) for file in sorted(folder.glob('*.json'))]
