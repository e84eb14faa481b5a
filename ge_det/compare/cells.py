"""One training of a comparison: a block and a seed, its folder, its command and its result."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ge_det.compare.verdict import Score
from ge_det.config_reader import parse_change, read_model, type_name
from ge_det.errors import UserError
from ge_det.files import read_json, to_json, write_whole
from ge_det.locks import only_training

KINDS = {'bbox': 'box AP', 'segm': 'mask AP'}
"""What is measured, by mmdet's names."""


@dataclass(frozen=True)
class Cell:
    """A training of a user's config with a block and a seed.

    Args:
        config (str): The user's config.
        attention (str): Short name of the block.
        seed (int): Of first weights, order of the pictures and augmentation.
        folder (Path): Its work dir.
        changes (Sequence[str]): Words of ``--cfg-options`` that all trainings have.
        data (Mapping[str, str]): Hashes of the annotation files, by path.
        classes (Sequence[str]): What it is measured on; none are all of the annotation file.
    """

    config: str
    attention: str
    seed: int
    folder: Path
    changes: Sequence[str] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    classes: Sequence[str] = ()

    @property
    def name(self) -> str:
        """As messages have it."""
        return f'{self.attention} seed {self.seed}'

    @property
    def log(self) -> Path:
        """What its processes print."""
        return self.folder / 'console.log'

    @cached_property
    def options(self) -> dict[str, Any]:
        """The changes to the config."""
        return {key: value for word in self._changes() for key, value in parse_change(word).items()}

    @cached_property
    def resolved(self) -> Any:
        """The config with all changes, not to be changed; a UserError if it cannot be read."""
        return read_model(self.config, self.options)

    def begin(self) -> list[str]:
        """Note in the folder what is trained there; returns the command line.

        It goes on from the last checkpoint. The detections of the last validation are left.

        Raises:
            UserError: If a training is at work there, such as one of a comparison that was killed,
                or the folder has one of another config.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with only_training(self.folder):
            self.check()
            write_whole(self._note, to_json(self._identity()))
        metric, _ = coco_metric(self.config, self.resolved)
        own = (
            f'{metric}.outfile_prefix={self.folder / "val"}',
            f'default_hooks.{self._place_of_report()}.type=ge_det.PairedStart',
        )
        words = ('--work-dir', str(self.folder), '--cfg-options', *self._changes(), *own)
        return [sys.executable, '-m', 'ge_det', 'train', self.config, '--resume', *words]

    def _place_of_report(self) -> str:
        """The key of the hook that writes a report, which not every cell needs; else a new one."""
        hooks = (self.resolved.get('default_hooks') or {}).items()
        ours = (key for key, hook in hooks if 'WriteReport' in str(dict(hook or {}).get('type')))
        return next(ours, 'paired_start')

    def finish(self, seconds: float) -> None:
        """Measure the detections, and leave the result; what it took, NaN if not all of it.

        Raises:
            UserError: If there is nothing to measure, or to measure by.
        """
        from ge_det.compare.coco_metrics import precision_of

        truth, found = Path(coco_metric(self.config, self.resolved)[1]['ann_file']), {}
        for kind in KINDS:
            detections = self.folder / f'val.{kind}.json'
            if not detections.is_file():
                continue
            ap, *drawn = precision_of(truth, detections, self.classes, kind)
            if math.isnan(ap):
                raise UserError(f'{truth}: there is no object to measure by; label some')
            found[kind] = dict(ap=100 * ap, resamples=[100 * value for value in drawn])
        if not found:
            what = 'the training has left no detections of its last validation'
            raise UserError(f'{what}; delete {self.folder} to train it again')
        content = dict(seconds=round(seconds, 1), scores=found)
        write_whole(self.folder / 'result.json', to_json(content))

    def _changes(self) -> list[str]:
        own = (f'model.backbone.attention={self.attention}', f'randomness.seed={self.seed}')
        return [*self.changes, *own]

    def scores(self) -> dict[str, Score]:
        """By a key of :data:`KINDS`; empty while the cell is not done."""
        found = read_json(self.folder / 'result.json') or {}
        return {kind: Score(**one) for kind, one in found.get('scores', {}).items()}

    def seconds(self) -> float:
        """What it took from beginning to end; NaN if that was in several sessions, or is not."""
        return float((read_json(self.folder / 'result.json') or {}).get('seconds', math.nan))

    def is_begun(self) -> bool:
        """Whether there is a result or a checkpoint."""
        return bool(self.scores()) or any(self.folder.glob('*.pth'))

    def check(self) -> None:
        """Raise a UserError if the folder has a training with another config or other data."""
        own = self._identity()
        found = (read_json(self._note) if self.is_begun() else None) or own
        for key in {**own, **found}:
            if own.get(key) != found.get(key):
                was = 'another file' if key in self.data else found.get(key, 'not set')
                raise UserError(
                    f'{self.folder}: {key} was {was} when this was trained; give another '
                    '--work-dir, or delete that folder to train it again'
                )

    @property
    def _note(self) -> Path:
        return self.folder / 'compare.json'

    def _identity(self) -> dict[str, str]:
        """What the result hangs on, so not the time that make-config has measured."""
        content = {key: one for key, one in self.resolved.to_dict().items() if key != 'promised'}
        return {**dict(_flat(content)), **self.data}


def coco_metric(config: str, cfg: Any) -> tuple[str, Any]:
    """Where a config has the COCO metric of its validation, and that metric.

    Raises:
        UserError: If it has none that names its annotations.
    """
    evaluator = cfg.get('val_evaluator') or {}
    several = isinstance(evaluator, (list, tuple))
    for place, one in enumerate(evaluator if several else [evaluator]):
        if type_name(one.get('type')) == 'CocoMetric' and one.get('ann_file'):
            return f'val_evaluator{f".{place}" if several else ""}', one
    raise UserError(
        f'{config}: its val_evaluator is no CocoMetric with ann_file, by which blocks are '
        'compared; give it one'
    )


def _flat(value: Any, name: str = '') -> Iterator[tuple[str, str]]:
    """The values inside of a config as text, each with its full key."""
    if not isinstance(value, (dict, list, tuple)):
        yield name.removeprefix('.'), str(value)
        return
    for key, one in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _flat(one, f'{name}.{key}')
