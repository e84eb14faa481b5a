"""The plain detector sees no mark, its weights are what they say, attaching SE changes nothing."""

import numpy as np
import pytest
import torch
from field_of_view import field_of_view
from mmengine.config import Config

from ge_det.datasets import CLASSES, CONTEXT_CLASSES, PLAIN_CLASSES, SCENES
from ge_det.weights.checkpoint import read_checkpoint
from lab.demo import detectors
from lab.demo.detectors import GATED, PLAIN, SHAPES, WEIGHTS

VAL = 150

pytestmark = pytest.mark.usefixtures('demo')


def tensor(picture):
    return torch.from_numpy(np.ascontiguousarray(picture.image[..., ::-1])).permute(2, 0, 1)


def test_the_two_configs_differ_in_attention_start_and_schedule_alone():
    plain, gated = (Config.fromfile(file).to_dict() for file in (PLAIN, GATED))
    assert gated['model']['backbone'].pop('attention') == {
        'type': 'ge_det.SqueezeExcite',
        'ratio': 4,
    }
    assert plain['metainfo']['classes'] == CLASSES
    assert set(CLASSES) == {*CONTEXT_CLASSES, *PLAIN_CLASSES}
    same = ('train_dataloader', 'val_dataloader', 'val_evaluator', 'custom_hooks', 'randomness')
    assert all(plain[key] == gated[key] for key in same)
    assert all(plain['model'][key] == gated['model'][key] for key in ('train_cfg', 'test_cfg'))


def test_the_field_of_view_of_an_object_ends_before_the_marks():
    seen = field_of_view(detectors.build(Config.fromfile(PLAIN), WEIGHTS), SHAPES)
    assert not seen.marks
    # The field is not small for want of a gradient, and ends within the clearance.
    assert 50 < seen.reach < SHAPES.cue_clearance


def test_the_plain_detector_says_the_same_whatever_the_marks(demo):
    """Of every object, in pictures that are alike but for the marks, hence for its name."""
    for index in range(12):
        sea, land = (SHAPES.draw('val', index, scene) for scene in SCENES)
        assert not np.array_equal(sea.image, land.image)
        boxes = torch.tensor([item['bbox'] for item in sea.annotations]).float()
        boxes[:, 2:] += boxes[:, :2]
        rois = torch.cat([torch.zeros(len(boxes), 1), boxes], 1)
        with torch.no_grad():
            plain = demo.plain
            batch = plain.data_preprocessor(
                dict(inputs=[tensor(sea), tensor(land)], data_samples=None)
            )
            maps = plain.extract_feat(batch['inputs'])
            scores = [
                plain.roi_head.bbox_head(
                    plain.roi_head.bbox_roi_extractor([level[i : i + 1] for level in maps], rois)
                )[0]
                for i in (0, 1)
            ]
        torch.testing.assert_close(scores[0], scores[1], rtol=1e-4, atol=1e-4)


def test_the_committed_weights_are_small_plain_float16_and_have_the_ap_they_claim(demo, tmp_path):
    assert WEIGHTS.stat().st_size < 1e6
    read = read_checkpoint(str(WEIGHTS))
    assert {value.dtype for value in read.state.values()} == {torch.float16, torch.int64}
    ap = detectors.test_plain(detectors.read_config(PLAIN, demo.write(VAL)), tmp_path)
    assert ap == pytest.approx(read.meta['ap'], abs=0.01)
    assert ap['context classes'] < 0.6 < 0.9 < ap['other classes']


def test_attaching_se_leaves_the_outputs_as_they_are(demo):
    images = torch.stack([tensor(SHAPES.draw('val', index)) for index in range(4)])
    plain, gated = demo.plain, demo.gated
    assert len(gated.backbone.gates()) == 7
    assert detectors.largest_deviation(gated, plain, images) < 1e-5
    with torch.no_grad():
        for gate in gated.backbone.gates().values():
            for parameter in gate.parameters():
                parameter += 0.1
    assert detectors.largest_deviation(gated, plain, images) > detectors.ALLOWED_DEVIATION
