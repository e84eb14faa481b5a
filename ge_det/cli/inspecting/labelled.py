"""What needs to know what is in the pictures: selectivity, and importance by pruning."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm  # type: ignore[import-untyped]

from ge_det.cli.inspecting.looking import readable
from ge_det.cli.inspecting.pictures import Photo, Photos
from ge_det.errors import UserError
from ge_det.inspect.gates import named_gates, named_parts, short_units, stage_of, unit_of
from ge_det.inspect.importance import (
    Ends,
    Evaluate,
    channel_importance,
    draw_importance,
    evaluation,
    plain_ends,
)
from ge_det.inspect.networks import Classifier, Detector, Network
from ge_det.inspect.page import Section
from ge_det.inspect.selectivity_figure import draw_selectivity
from ge_det.inspect.unit_selectivity import LabelledBatch, Selectivity, selectivity_of


def selectivity_section(network: Network, plain: Network | None, photos: Photos) -> Section | None:
    """Class selectivity by unit; None unless two classes are known."""
    labelled = [one for one in photos.photos if one.labels]
    if len({label for one in labelled for label in one.labels}) < 2:
        return None
    classes = len(photos.classes)
    found = _selectivity(network, labelled, classes)
    beside = None if plain is None else _selectivity(plain, labelled, classes)
    text = ['The classes are those of the boxes: features are pooled over each.']
    boxes = any(one.boxes for one in labelled)
    return Section('Class selectivity', text * boxes, draw_selectivity(found, beside))


def _selectivity(network: Network, photos: list[Photo], classes: int) -> dict[str, Selectivity]:
    model: Any = network.model
    return selectivity_of(model, labelled_batches(network, photos), classes, model.backbone)


def labelled_batches(network: Network, photos: list[Photo]) -> Iterator[LabelledBatch]:
    """The pictures one by one, with their boxes in pixels of the network's input."""
    for photo, prepared in readable(network, photos, 'selectivity'):
        images, labels = network.images(prepared), torch.tensor(photo.labels)
        if not photo.boxes:
            yield LabelledBatch(images, labels)
            continue
        scaled = torch.tensor(photo.boxes) * torch.tensor([*prepared.scale, *prepared.scale])
        yield LabelledBatch(images, [labels], [scaled])


def check_importance(
    network: Network, plain: Network | None, photos: Photos, units: Sequence[str]
) -> None:
    """Raise a UserError at once for what :func:`importance_section` cannot do."""
    chosen = _chosen(list(named_gates(network.model)), units)
    _metric(network, photos)
    if plain is None:
        return
    _metric(plain, photos)
    parts = named_parts(plain.model)
    if lacking := [unit_of(name) for name in chosen if unit_of(name) not in parts]:
        raise UserError(f'--plain: its network has no {lacking[0]}; give one of the same trunk')


def importance_section(
    network: Network, plain: Network | None, photos: Photos, units: Sequence[str]
) -> Section:
    """Importance of channels by the order of their gates.

    Args:
        network (Network): With gates.
        plain (Network, optional): One without, whose ends are drawn beside it.
        photos (Photos): Labelled.
        units (Sequence[str]): Such as ``'layer1.0'``; none for the last of each stage.

    Raises:
        UserError: If the pictures are not labelled, or there is no such unit.
    """
    chosen = _chosen(list(named_gates(network.model)), units)
    metric = _metric(network, photos)
    with tempfile.TemporaryDirectory() as folder:
        evaluate = _evaluate(network, photos, Path(folder))
        found = {
            name: channel_importance(network.model, name, evaluate)
            for name in tqdm(chosen, desc='importance', unit='unit', disable=None)
        }
        ends: dict[str, Ends] = {}
        if plain is not None:
            evaluate = _evaluate(plain, photos, Path(folder))
            for name in chosen:
                ends[unit_of(name)] = plain_ends(plain.model, unit_of(name), evaluate)
    text = [
        f'{metric} on the pictures given, whose number limits its precision: compare curves, not '
        'single values.'
    ]
    return Section('Feature importance', text, [draw_importance(found, ends or None, metric)])


def _chosen(names: list[str], units: Sequence[str]) -> list[str]:
    """Gates of units by their names, with or without what all begin with, each once."""
    if not units:
        return list({stage_of(name, names): name for name in names}.values())
    short, found = short_units(names), []
    for unit in units:
        fitting = [
            name
            for name in names
            if unit.endswith(short[name]) and f'.{unit_of(name)}'.endswith(f'.{unit}')
        ]
        if not fitting:
            have = ', '.join(dict.fromkeys(short.values()))
            raise UserError(f'--importance {unit}: no unit with a gate; there are {have}')
        found.append(fitting[0])
    return list(dict.fromkeys(found))


def _evaluate(network: Network, photos: Photos, folder: Path) -> Evaluate:
    """What measures a network on the pictures."""
    if isinstance(network, Detector):
        return _precision(network, photos, folder)
    assert isinstance(network, Classifier)
    return _accuracy(network, photos)


def _metric(network: Network, photos: Photos) -> str:
    """What the pictures can measure a network by; a UserError says that it is nothing."""
    if isinstance(network, Detector) and photos.annotations is not None:
        unknown = sorted(set(photos.classes) - set(network.names))
        if unknown:
            raise UserError(
                f'{photos.annotations}: the detector has no class {unknown[0]!r}; its classes are '
                f'{", ".join(network.names[:8])}'
            )
        return 'AP'
    if isinstance(network, Classifier) and photos.classes:
        network.labels_of(photos.classes)
        return 'top-1'
    raise UserError(
        '--importance measures the network: give a COCO file for a detector, a folder with a '
        'folder of pictures for each class for a classifier'
    )


class _Batches:
    """Batches of one picture, with its id."""

    def __init__(self, network: Network, photos: Photos) -> None:
        self._network, self._photos = network, photos

    def __len__(self) -> int:
        return len(self._photos.photos)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for photo in self._photos.photos:
            batch = self._network.batch(self._network.read(photo.path))
            batch['data_samples'][0].set_metainfo(dict(img_id=photo.number))
            yield batch


def _precision(network: Detector, photos: Photos, folder: Path) -> Evaluate:
    """AP in percent on those pictures of the COCO file that are looked at."""
    from mmdet.evaluation import CocoMetric
    from mmengine.evaluator import Evaluator

    from ge_det.datasets.coco_file import read_coco

    assert photos.annotations is not None
    coco, kept = read_coco(photos.annotations), {one.number for one in photos.photos}
    boxes = [one for one in coco.annotations if one['image_id'] in kept]
    content = dict(
        images=[one for one in coco.images if one['id'] in kept],
        # From 1: pycocotools takes what matches a box of id 0 for wrong.
        annotations=[{**one, 'id': number} for number, one in enumerate(boxes, 1)],
        categories=_categories(network.names, coco.categories),
    )
    file = folder / 'looked-at.json'
    file.write_text(json.dumps(content), encoding='utf-8')
    evaluator = Evaluator(CocoMetric(ann_file=str(file), metric='bbox'))
    evaluator.dataset_meta = dict(classes=network.names)
    measure = evaluation(network.model, _Batches(network, photos), evaluator, 'coco/bbox_mAP')
    return lambda: 100 * max(0.0, measure())  # It is -1 where no photo has a box.


def _categories(names: Sequence[str], given: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """All classes of a detector in its order, in which mmdet counts labels, by the file's ids.

    A class that the file lacks gets an id of its own: it has no boxes, so AP leaves it out.
    """
    ids = {one['name']: one['id'] for one in given}
    fresh = (number for number in count(1) if number not in ids.values())
    return [dict(id=ids[name] if name in ids else next(fresh), name=name) for name in names]


def _accuracy(network: Classifier, photos: Photos) -> Evaluate:
    """Top-1 in percent."""
    order = network.labels_of(photos.classes)

    def evaluate() -> float:
        right = [
            int(network.run(prepared).sample.pred_label) == order[photo.labels[0]]
            for photo, prepared in readable(network, photos.photos, 'top-1')
            if photo.labels
        ]
        return 100 * sum(right) / max(1, len(right))

    return evaluate
