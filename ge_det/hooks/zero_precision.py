"""The average precision of a detector that finds nothing is zero, not unknown."""

from __future__ import annotations

from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner

_ITEMS = ('mAP', 'mAP_50', 'mAP_75')


class ZeroPrecision(Hook):
    """Gives a test without any detection the AP of 0, which mmdet's ``CocoMetric`` leaves out.

    In a config: ``default_hooks = dict(precision=dict(type='ge_det.ZeroPrecision'))``.
    """

    priority = 'HIGHEST'  # Before anything takes the figures.

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Add what is not there."""
        from mmdet.evaluation import CocoMetric  # Classifiers have hooks from here, too.

        evaluator = runner.test_evaluator
        if metrics is None or type(evaluator) is not Evaluator:  # Others have names of their own.
            return
        for metric in evaluator.metrics:
            # LVISMetric and others that inherit from it have names of their own.
            names = getattr(type(metric), 'compute_metrics', None)
            if names is not CocoMetric.compute_metrics or metric.format_only:
                continue
            for kind in {'bbox', 'segm'}.intersection(metric.metrics):
                for item in metric.metric_items or _ITEMS:
                    metrics.setdefault(f'{metric.prefix}/{kind}_{item}', 0.0)
