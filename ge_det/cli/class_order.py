"""Whether the classes of a config stand in the order of its annotation files.

mmdet numbers the classes in the order in which the file lists its categories, whatever the order of
``metainfo.classes``; names and results would be those of other classes, without a word. So do its
CocoDataset and CocoMetric.
"""

from __future__ import annotations

import json
import mmap
import os
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ge_det.cli.config_data import DataSet, class_names
from ge_det.config_reader import inner_dicts, type_name
from ge_det.errors import UserError, listed_orders

_MOST_CATEGORIES = 4 << 20  # Bytes of their list that are looked at.


def check_class_order(cfg: Any, found: Mapping[str, list[DataSet]]) -> None:
    """Raise a UserError if classes are not in an annotation file, or in another order there.

    Args:
        cfg (Config): A config, for its evaluators, which read files of their own.
        found (Mapping[str, list[DataSet]]): Its data sets by the names of their loaders.
    """
    for loader, sets in found.items():
        for one in sets:
            if _kind(one) == 'CocoDataset':
                _check(one, class_names(one))
        name = loader.replace('_dataloader', '_evaluator')
        if not name.startswith('train') and sets and _kind(sets[0]) == 'CocoDataset':
            read = {one.annotations for one in sets}
            # A metric names its annotations as a data set does.
            for metric in (DataSet(*one) for one in inner_dicts(name, cfg.get(name) or {})):
                if _kind(metric) == 'CocoMetric' and metric.annotations not in read:
                    _check(metric, class_names(sets[0]))


def _kind(one: DataSet) -> str:
    return type_name(one.settings.get('type'))


def _check(one: DataSet, wanted: Sequence[str]) -> None:
    file, told = one.annotations, (one.settings.get('metainfo') or {}).get('classes')
    if file is None or isinstance(told, str):  # The name of a file of names.
        return
    there = _category_names(file, bool(one.settings.get('sort_categories')))
    if not there or not wanted:
        return
    unknown = [name for name in wanted if name not in there]
    if unknown:
        near = get_close_matches(str(unknown[0]), there, n=1)
        hint = f'did you mean {near[0]!r}?' if near else f'it has {", ".join(there[:5])}'
        raise UserError(
            f'{file}: no category is named {unknown[0]!r}, which is one of the classes of '
            f'{one.key}; {hint}. Write the names as the file has them into metainfo.classes'
        )
    in_file = [name for name in there if name in wanted]
    if in_file != list(wanted):
        theirs, ours = listed_orders(in_file, wanted)
        raise UserError(
            f'{file}: mmdet numbers the classes as this file lists them ({theirs}), but those of '
            f'{one.key} are in another order ({ours}); before a training, order `classes` as in '
            'the file; after it, the categories of the file (`ge-det make-config` with the file '
            'of the training writes a copy with its order)'
        )


def _category_names(file: Path, is_sorted: bool) -> list[str]:
    """Names of the categories of a COCO file of any size, as it lists them or by their ids."""
    if not file.is_file() or not os.path.getsize(file):
        return []
    with file.open('rb') as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        found = re.search(rb'"categories"\s*:\s*(?=\[)', text)
        part = text[found.end() : found.end() + _MOST_CATEGORIES] if found else b''
    try:
        records, _ = json.JSONDecoder().raw_decode(part.decode('utf-8', 'replace'))
        if is_sorted:
            records.sort(key=lambda record: record['id'])
        return [str(record['name']) for record in records]
    except (ValueError, KeyError, TypeError):
        return []
