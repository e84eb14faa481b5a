"""What the detector finds in the val set: one run of mmdet's own test, kept beside the report."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from ge_det.config_reader import inner_data_set, type_name
from ge_det.errors import UserError
from ge_det.files import read_json, sha256_of, to_json, write_whole
from ge_det.report.source import Source

RESULTS = 'detections.json'
"""COCO's format of results: a list of boxes with scores, and masks where there are any."""

_KEY = 'detections_made_of.json'
_OWN = 'WriteReport'


def val_detections(source: Source) -> list[dict[str, Any]]:
    """The detections in the val set, from the folder of the report where they are still right."""
    key = _key(source)
    file = source.folder / RESULTS
    if read_json(source.folder / _KEY) == key and (kept := _read(file)) is not None:
        return kept
    source.folder.mkdir(parents=True, exist_ok=True)
    (source.folder / _KEY).unlink(missing_ok=True)
    found = _detect(source)
    write_whole(file, to_json(found))
    write_whole(source.folder / _KEY, to_json(key))
    return found


def are_kept(source: Source) -> bool:
    """Whether there is nothing to detect anew."""
    return read_json(source.folder / _KEY) == _key(source) and (source.folder / RESULTS).is_file()


def _key(source: Source) -> dict[str, Any]:
    """What the detections depend on."""
    config = source.config
    # Not where the photos lie, so that a folder that moved keeps its detections.
    pipeline = inner_data_set(config.val_dataloader).get('pipeline')
    settings = [config.get('model'), pipeline, list(source.classes)]
    return {
        'checkpoint': sha256_of(source.checkpoint),
        'annotations': sha256_of(source.annotations),
        'settings': hashlib.sha256(repr(settings).encode()).hexdigest(),
    }


def _read(file: Path) -> list[dict[str, Any]] | None:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, list) else None


def _detect(source: Source) -> list[dict[str, Any]]:
    from mmengine.runner import Runner

    folder = source.folder / 'log'
    shutil.rmtree(folder, ignore_errors=True)
    prefix = folder / 'results'
    Runner.from_cfg(_test_config(source, folder, prefix)).test()
    boxes, masks = (Path(f'{prefix}.{kind}.json') for kind in ('bbox', 'segm'))
    if (found := _read(masks if masks.exists() else boxes)) is None:
        raise UserError(
            f'{boxes}: the test on the val set has left no results there; see its log in {folder}'
        )
    for file in folder.glob('results.*.json'):
        file.unlink()
    return found


def _test_config(source: Source, folder: Path, prefix: Path) -> Any:
    """The training's config, to test on the val set and write the results into a file."""
    config = source.config.copy()
    for name in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler',
                 'auto_scale_lr', 'val_cfg', 'val_evaluator'):  # fmt: skip
        config[name] = None
    config.test_dataloader = config.pop('val_dataloader')
    if not config.test_dataloader.get('num_workers'):  # torch wants none of these without workers.
        config.test_dataloader.update(persistent_workers=False, prefetch_factor=None)
    config.test_cfg = dict(type='TestLoop')
    config.test_evaluator = dict(
        type='mmdet.CocoMetric',
        ann_file=str(source.annotations),
        metric='bbox',
        format_only=True,
        outfile_prefix=str(prefix),
    )
    config.update(
        work_dir=str(folder), load_from=str(source.checkpoint), resume=False, launcher='none'
    )
    if isinstance(config.get('visualizer'), dict):
        config.visualizer.vis_backends = None
    hooks = config.get('custom_hooks') or []
    config.custom_hooks = [one for one in hooks if type_name(one.get('type')) != _OWN]
    # Those of a training are of no use in a test.
    config.default_hooks = dict(
        progress=dict(type='ge_det.TimelyProgress'), checkpoint=None, param_scheduler=None
    )
    return config
