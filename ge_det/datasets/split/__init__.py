"""A val set taken from the train set: by class, with photos of one scene kept together."""

from ge_det.datasets.split.divide import split
from ge_det.datasets.split.groups import Group
from ge_det.datasets.split.result import Split

__all__ = ['Group', 'Split', 'split']
