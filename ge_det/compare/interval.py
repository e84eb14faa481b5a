"""The interval of a mean over few paired seeds and one set of validation images."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from scipy.special import stdtrit

REPLICATES = 10_000


def paired_interval(
    differences: np.ndarray, resampled: np.ndarray, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the mean difference, from a bootstrap over seeds and images.

    A replicate draws seeds with replacement and one resample of the images for all of them, since
    all are measured on the same images; it is the mean of their differences on that resample.

    The means of ``n`` drawn seeds spread too little: by ``sqrt((n - 1) / n)``, as deviations from
    their own mean do, and percentiles are those of a normal distribution although the spread is
    itself a guess from ``n`` values. Hence the deviations that come from the draw of seeds are
    widened by ``sqrt(n / (n - 1))`` and by the ratio of the quantiles of Student's t and the
    normal distribution; at 95 % with ``n = 3`` that is 2.7 in all.

    Of resamples only the scatter counts: their mean lies a little off the metric itself, since a
    resample has many images twice.

    Args:
        differences (np.ndarray): By seed, of shape ``(seeds,)``.
        resampled (np.ndarray): The same on resamples of the images, ``(seeds, resamples)``.
        level (float): Of the interval. Defaults to 0.95.

    Returns:
        tuple[float, float]: Its ends; NaN if a difference is, and with one seed, no resamples.
    """
    seeds, resamples = resampled.shape
    if np.isnan(differences).any() or (seeds == 1 and not resamples):
        return math.nan, math.nan
    # NumPy promises this stream for all its versions: reports come out the same.
    drawn = np.random.RandomState(0).randint(seeds, size=(REPLICATES, seeds))
    mean = differences.mean()
    quantile = (1 + level) / 2
    replicates = mean + _widening(seeds, quantile) * (differences[drawn].mean(axis=1) - mean)
    if resamples:
        deviations = resampled - resampled.mean(axis=1, keepdims=True)
        resample = np.arange(REPLICATES) % resamples  # Each as often as the others.
        replicates += deviations[drawn, resample[:, None]].mean(axis=1)
    low, high = np.quantile(replicates, [1 - quantile, quantile])
    return float(low), float(high)


def _widening(seeds: int, quantile: float) -> float:
    """Factor for deviations of the mean over drawn seeds; 1 for one seed, which has none."""
    if seeds == 1:
        return 1.0
    ratio = float(stdtrit(seeds - 1, quantile)) / NormalDist().inv_cdf(quantile)
    return math.sqrt(seeds / (seeds - 1)) * ratio
