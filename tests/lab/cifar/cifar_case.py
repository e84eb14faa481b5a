"""A small CIFAR-10 without pictures of anything, and a table that trains on it in seconds."""

import numpy as np

from lab.cifar.run import Workspace
from lab.cifar.table import Table

TABLE = """
title: Small
about: Two networks with * in their names.
networks:
  resnet-8: {config: small.py, published: ResNet-110}
attention:
  none:
  se: {ratio: 4}
seeds: [0, 1000]
"""
CONFIG = """
_base_ = '{base}'
model = dict(backbone=dict(depth=8))
train_cfg = dict(max_epochs=1, val_interval=1)
param_scheduler = dict(_delete_=True, type='ConstantLR', factor=1, begin=0, end=1)
"""


def write_arrays(folder, train=256, test=40):
    """Packed pictures of which the label is the brightness."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(0)
    for split, count in (('train', train), ('test', test)):
        labels = np.arange(count) % 10
        noise = random.randint(0, 10, (count, 32, 32, 3))
        pictures = (noise + 24 * labels[:, None, None, None]).astype(np.uint8)
        np.savez(folder / f'{split}.npz', pictures=pictures, labels=labels)


def make_workspace(folder, root, only='*'):
    """A table of two blocks and two seeds in a folder, with its pictures."""
    base = root / 'lab/configs/resnet20_cifar10.py'
    (folder / 'small.py').write_text(CONFIG.format(base=base), encoding='utf-8')
    (folder / 'small.yaml').write_text(TABLE, encoding='utf-8')
    write_arrays(folder / 'data')
    table = Table.read(folder / 'small.yaml')
    return Workspace(table, folder / 'work', folder / 'out', folder / 'data', only)
