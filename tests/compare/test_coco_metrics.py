"""Metrics of groups, classes and resamples against plain evaluations by pycocotools."""

import json
import math

import numpy as np
import pytest
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ge_det.compare import coco_metrics
from ge_det.compare.coco_metrics import METRICS, draw_images, measure, precision_of

GROUPS = {'all': None, 'pair': ['ring', 'disc'], 'rare': ['cross']}
CLASSES = ('disc', 'ring', 'cross', 'never')
PARTS = GROUPS | {f'class:{name}': [name] for name in CLASSES}
SIZES = ('APs', 'APm', 'APl')
IMAGES = [3, 5, 6, 10, 12, 20, 21, 30]
SIZE = 120


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def rle(box):
    left, top, width, height = np.round(box).astype(int)
    pixels = np.zeros((SIZE, SIZE), np.uint8, order='F')
    pixels[top : top + height, left : left + width] = 1
    return {**mask.encode(pixels), 'counts': mask.encode(pixels)['counts'].decode()}


@pytest.fixture(scope='module')
def coco():
    """Annotations and detections: crowds, ties, an empty image, a class in one image only."""
    random = np.random.default_rng(0)
    objects, found = [], []
    for place, image in enumerate(IMAGES[:-1]):
        for number in range(4):
            category = 9 if (place, number) == (2, 0) else int(random.choice([2, 4]))
            box = [*random.uniform(0, 50, 2), *random.uniform(12, 60, 2)]  # None is large.
            objects.append(
                dict(
                    id=len(objects) + 1,
                    image_id=image,
                    category_id=category,
                    bbox=box,
                    segmentation=rle(box),
                    area=box[2] * box[3],
                    iscrowd=int(number == 3 and place % 3 == 0),
                )
            )
            for _ in range(3):
                near = np.maximum(0, box + random.normal(0, 4, 4)).tolist()
                guess = int(random.choice([category, category, 2]))
                score = round(random.uniform(), 1)
                found.append(dict(image_id=image, category_id=guess, bbox=near, score=score))
    names = {4: 'disc', 2: 'ring', 9: 'cross', 11: 'never'}
    truth = dict(
        images=[dict(id=i, file_name=f'{i}.png', width=SIZE, height=SIZE) for i in IMAGES],
        categories=[dict(id=key, name=name) for key, name in names.items()],
        annotations=objects,
    )
    return truth, found


def as_masks(found):
    kept = ('image_id', 'category_id', 'score')
    return [{key: one[key] for key in kept} | dict(segmentation=rle(one['bbox'])) for one in found]


@pytest.fixture(params=['bbox', 'segm'])
def case(coco, request):
    truth, found = coco
    return truth, found if request.param == 'bbox' else as_masks(found), request.param


def detection_metrics(annotations, detections, classes=None, iou_type='bbox'):
    """What pycocotools itself says, with NaN for its -1."""
    truth = COCO(str(annotations))
    evaluation = COCOeval(truth, truth.loadRes(str(detections)), iou_type)
    if classes is not None:
        evaluation.params.catIds = truth.getCatIds(catNms=list(classes))
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    values = (math.nan if value < 0 else value for value in evaluation.stats.tolist())
    return dict(zip(METRICS, values, strict=False))


def copies_of(entries, drawn):
    """Those in drawn images, each copy of an image with an id of its own."""
    copied = []
    for new, place in enumerate(drawn, start=1):
        copied += [one | dict(image_id=new) for one in entries if one['image_id'] == IMAGES[place]]
    return copied


def evaluate_copies(folder, truth, found, drawn, iou_type):
    objects = copies_of(truth['annotations'], drawn)
    copied = truth | dict(
        images=[truth['images'][0] | dict(id=new + 1) for new in range(len(drawn))],
        annotations=[one | dict(id=key) for key, one in enumerate(objects, start=1)],
    )
    files = write(folder / 'copies.json', copied), write(folder / 'f.json', copies_of(found, drawn))
    return {part: detection_metrics(*files, classes, iou_type) for part, classes in PARTS.items()}


def kept(part, resample):
    names = ('AP', 'AP50', 'AP75') if part == 'all' else ('AP',)
    return names + SIZES if part == 'all' and resample % 4 == 0 else names


def test_groups_classes_and_resamples_are_those_of_plain_evaluations(case, tmp_path):
    truth, found, iou_type = case
    files = write(tmp_path / 'val.json', truth), write(tmp_path / 'found.json', found)
    measured = measure(*files, GROUPS, iou_type, resamples=8)
    expected = {g: detection_metrics(*files, classes, iou_type) for g, classes in GROUPS.items()}
    np.testing.assert_equal(measured.metrics, expected)
    assert 0 < expected['all']['AP'] < 1 and math.isnan(expected['all']['APl'])
    for name in CLASSES:
        alone = detection_metrics(*files, [name], iou_type)
        np.testing.assert_equal(measured.classes[name], {k: alone[k] for k in ('AP', 'AP50')})
    for resample in range(8):
        drawn = draw_images(resample, len(IMAGES))
        brute = evaluate_copies(tmp_path, truth, found, drawn, iou_type)
        for part, values in measured.resamples.items():
            for name in kept(part, resample):
                place = resample // 4 if name in SIZES else resample
                np.testing.assert_equal(values[name][place], brute[part][name])
    assert {part: set(values) for part, values in measured.resamples.items()} == {
        part: set(kept(part, 0)) for part in PARTS
    }
    assert [len(measured.resamples['all'][name]) for name in ('AP75', 'APs')] == [8, 2]
    for group, classes in GROUPS.items():
        wanted = [expected[group]['AP'], *measured.resamples[group]['AP']]
        given = (*(classes or ()), *(['gone'] if classes else ()))
        np.testing.assert_equal(precision_of(*files, given, iou_type, resamples=8), wanted)
    absent = np.isnan(measured.resamples['rare']['AP'])  # Its only image was not drawn.
    assert absent.any() and not absent.all()
    assert not np.isnan(measured.resamples['all']['AP']).any()


def test_each_image_once_gives_the_metric(coco, tmp_path, monkeypatch):
    monkeypatch.setattr(coco_metrics, 'draw_images', lambda resample, images: np.arange(images))
    files = write(tmp_path / 'val.json', coco[0]), write(tmp_path / 'found.json', coco[1])
    measured = measure(*files, GROUPS, resamples=1)
    for part, values in measured.resamples.items():
        found = measured.metrics.get(part) or measured.classes[part.removeprefix('class:')]
        for name in kept(part, 0):
            np.testing.assert_equal(values[name], [found[name]])


def test_without_detections_all_is_zero_or_unknown(coco, tmp_path):
    files = write(tmp_path / 'val.json', coco[0]), write(tmp_path / 'found.json', [])
    measured = measure(*files, GROUPS, resamples=5)
    assert measured.metrics['all']['AP'] == 0
    assert measured.resamples['pair'] == dict(AP=[0] * 5)
    assert math.isnan(measured.classes['never']['AP'])


def test_draws_depend_on_the_resample_and_the_number_of_images():
    first = draw_images(0, 50)
    assert first.shape == (50,)
    assert set(first) < set(range(50))
    np.testing.assert_equal(first, draw_images(0, 50))
    assert (first != draw_images(1, 50)).any()
    # Recorded, since resamples made by other versions of NumPy must pair with these.
    assert draw_images(3, 6).tolist() == [0, 5, 2, 2, 0, 5]


def test_nothing_is_printed(coco, tmp_path, capsys):
    files = write(tmp_path / 'val.json', coco[0]), write(tmp_path / 'found.json', coco[1])
    measure(*files, GROUPS, resamples=1)
    assert capsys.readouterr().out == ''


def test_bad_input_is_named(coco, tmp_path):
    truth = write(tmp_path / 'val.json', coco[0])
    found = write(tmp_path / 'found.json', coco[1])
    with pytest.raises(ValueError, match=r"\['square'\] are not among"):
        measure(truth, found, {'odd': ['square']})
    with pytest.raises(ValueError, match="group 'odd' has no classes"):
        measure(truth, found, {'odd': []})
    elsewhere = write(tmp_path / 'elsewhere.json', [coco[1][0] | dict(image_id=77)])
    with pytest.raises(ValueError, match='such as 77: give the annotations it was tested on'):
        measure(truth, elsewhere, GROUPS)
    empty = write(tmp_path / 'empty.json', dict(images=[], categories=[], annotations=[]))
    with pytest.raises(ValueError, match='has no images'):
        measure(empty, write(tmp_path / 'none.json', []), {})


@pytest.fixture
def two_boxes(tmp_path):
    boxes = {1: ([10, 10, 20, 20], 1), 2: ([50, 50, 60, 60], 2)}
    content = dict(
        info={},
        images=[dict(id=1, file_name='a.png', width=200, height=200)],
        categories=[dict(id=1, name='disc'), dict(id=2, name='ring')],
        annotations=[
            dict(id=key, image_id=1, category_id=cat, bbox=box, area=box[2] * box[3], iscrowd=0)
            for key, (box, cat) in boxes.items()
        ],
    )
    path = tmp_path / 'val.json'
    path.write_text(json.dumps(content))
    return path


def metrics(annotations, found, classes=None):
    return measure(annotations, found, {'group': classes}, resamples=0).metrics['group']


def detections(tmp_path, *boxes):
    path = tmp_path / 'found.json'
    found = [dict(image_id=1, category_id=c, bbox=b, score=0.9) for b, c in boxes]
    path.write_text(json.dumps(found))
    return path


def test_perfect_detections(two_boxes, tmp_path):
    file = detections(tmp_path, ([10, 10, 20, 20], 1), ([50, 50, 60, 60], 2))
    found = metrics(two_boxes, file)
    assert found['AP'] == found['APs'] == found['APm'] == pytest.approx(1)
    assert math.isnan(found['APl'])


def test_groups_of_classes_are_measured_apart(two_boxes, tmp_path):
    file = detections(tmp_path, ([10, 10, 20, 20], 1), ([50, 50, 60, 60], 1))
    assert metrics(two_boxes, file, ['disc'])['AP'] == pytest.approx(1)
    assert metrics(two_boxes, file, ['ring'])['AP'] == 0
    assert metrics(two_boxes, file)['AP'] == pytest.approx(0.5)


def test_a_loose_box_counts_only_at_low_thresholds(two_boxes, tmp_path):
    file = detections(tmp_path, ([10, 10, 20, 14], 1))  # IoU 0.7: right at 0.50 to 0.70
    found = metrics(two_boxes, file, ['disc'])
    assert found['AP50'] == pytest.approx(1)
    assert found['AP75'] == 0
    assert found['AP'] == pytest.approx(0.5)


def test_no_detection_at_all(two_boxes, tmp_path):
    assert metrics(two_boxes, detections(tmp_path))['AP'] == 0


def test_the_size_of_a_mask_is_that_of_its_pixels(tmp_path):
    """mmdet's result files have the box beside the mask."""
    pixels = np.zeros((2, SIZE, SIZE), np.uint8)
    pixels[0, 2:22, 2:22] = 1
    pixels[1, 20:120, 20:22] = pixels[1, 118:120, 20:120] = 1  # 400 in a box of 10,000.
    small, thin = (mask.encode(np.asfortranarray(one)) for one in pixels)
    for one in (small, thin):
        one['counts'] = one['counts'].decode()
    truth = dict(
        images=[dict(id=1, width=SIZE, height=SIZE)],
        categories=[dict(id=1, name='disc')],
        annotations=[
            dict(id=1, image_id=1, category_id=1, bbox=[2, 2, 20, 20], area=400, iscrowd=0,
                 segmentation=small),
        ],
    )  # fmt: skip
    found = [
        dict(image_id=1, category_id=1, score=0.8, bbox=[2, 2, 20, 20], segmentation=small),
        dict(image_id=1, category_id=1, score=0.9, bbox=[20, 20, 100, 100], segmentation=thin),
    ]
    files = write(tmp_path / 'val.json', truth), write(tmp_path / 'found.json', found)
    metrics = measure(*files, {'all': None}, 'segm', 1).metrics['all']
    assert metrics['APs'] == metrics['AP'] == pytest.approx(0.5)
