"""Labels and importance of a real detector on drawn pictures: the landed one of the demo."""

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from pycocotools.coco import COCO

from ge_det.cli.inspecting.labelled import labelled_batches
from ge_det.cli.inspecting.pictures import find_photos
from ge_det.inspect.gates import named_gates, unit_of
from ge_det.inspect.importance import channel_importance, draw_importance, evaluation, plain_ends
from ge_det.inspect.networks import Detector
from ge_det.inspect.selectivity_figure import draw_selectivity
from ge_det.inspect.unit_selectivity import selectivity_of
from ge_det.unprinted import unprinted
from lab.demo.detectors import PLAIN, WEIGHTS, read_config

PICTURES = 6


@pytest.fixture(scope='module')
def data(demo):
    return demo.write(val=PICTURES)


def evaluate_of(model, config):
    with unprinted():
        loader = Runner.build_dataloader(config.val_dataloader)
    evaluator = Evaluator([config.val_evaluator])
    evaluator.dataset_meta = loader.dataset.metainfo
    run = evaluation(model, loader, evaluator, 'coco/bbox_mAP')

    def quietly():
        with unprinted():
            return run()

    return quietly


def test_importance_of_a_detector_and_the_ends_of_the_plain_one(demo, data, tmp_path):
    plain, gated = demo.plain, demo.gated
    config = read_config(PLAIN, data)
    config.work_dir = str(tmp_path)
    config.load_from = str(WEIGHTS)
    with unprinted():
        expected = Runner.from_cfg(config).val()['coco/bbox_mAP']
    name = list(named_gates(gated))[3]
    ends = plain_ends(plain, unit_of(name), evaluate_of(plain, config))
    assert ends.kept == expected > 0.4
    assert ends.dropped < ends.kept
    # The fresh gates change nothing, so that both ends are those of the plain detector.
    found = channel_importance(gated, name, evaluate_of(gated, config), (0, 1))
    assert found.ascending == found.descending == pytest.approx(ends, abs=0.01)
    figure = draw_importance({name: found}, {unit_of(name): ends})
    assert figure.numbers[name]['plain'] == ends._asdict()
    assert figure.png.startswith(b'\x89PNG') and 'Stars' in figure.caption


def test_boxes_are_those_of_the_scaled_picture(demo, data, tmp_path):
    plain, gated = demo.plain, demo.gated
    config = read_config(PLAIN, data)
    config.test_dataloader.dataset.pipeline[1].scale = (112, 112)
    with unprinted():
        small = Detector(config, str(WEIGHTS), 'cpu')
    file = config.test_evaluator.ann_file
    photos = find_photos([file], str(data / 'val'), tmp_path, 100, False)
    batches = list(labelled_batches(small, photos.photos))
    assert len(batches) == PICTURES
    with unprinted():
        coco = COCO(file)
    for photo, batch in zip(photos.photos, batches, strict=True):
        told = coco.imgToAnns[photo.number]
        assert batch.images.shape == (1, 3, 128, 128)  # A multiple of 32.
        assert batch.labels[0].tolist() == [
            coco.getCatIds().index(one['category_id']) for one in told
        ]
        boxes = torch.tensor([[x, y, x + w, y + h] for x, y, w, h in (one['bbox'] for one in told)])
        torch.testing.assert_close(batch.boxes[0], boxes / 2)
    found = selectivity_of(gated, batches, 7, run=gated.backbone)
    whole, branches = draw_selectivity(found, selectivity_of(plain, batches, 7, plain.backbone))
    assert list(found) == [unit_of(gate) for gate in named_gates(gated)]
    # Fresh gates of SE differ from one another by the picture alone, and little.
    for lines in whole.numbers.values():
        assert lines['plain network']['mean'] == pytest.approx(lines['this network']['mean'])
    assert branches.numbers.keys() == whole.numbers.keys()
