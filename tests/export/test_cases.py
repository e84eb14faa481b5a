"""What a file finds, as mmdet has it; and what PyTorch finds when only rounding differs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('mmdet')

import torch  # noqa: E402
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask  # noqa: E402
from mmdet.structures import DetDataSample  # noqa: E402
from narrow_detectors import detector, padded, pictures  # noqa: E402

from ge_det.cli.exporting import check  # noqa: E402
from ge_det.cli.exporting.graph import Graph  # noqa: E402
from ge_det.export.cases import (  # noqa: E402
    Case,
    as_instances,
    found_by,
    predict,
    prepare,
    rounded_otherwise,
)
from ge_det.export.detector import ExportableDetector  # noqa: E402
from ge_det.export.parity import EXACT, Tolerance, agree  # noqa: E402
from ge_det.export.session import Found, split  # noqa: E402

PAGE = Path(__file__).parents[2] / 'docs' / 'export.md'


def picture(height: int, width: int) -> np.ndarray:
    random = np.random.default_rng(height)
    coarse = random.normal(size=(height // 8, width // 8, 3)).repeat(8, 0).repeat(8, 1)
    return np.clip(coarse * 50 + 120, 0, 255).astype(np.uint8)


@pytest.fixture(scope='module')
def mask_rcnn():
    return detector('mask-rcnn', attention='se')


def test_detections_and_pasted_masks_are_mmdets(mask_rcnn) -> None:
    case = prepare(mask_rcnn, [picture(64, 96), picture(80, 48)], (96, 128))
    assert case.size == (96, 128)
    assert case.sizes.tolist() == [[85, 128], [96, 58]]
    assert not case.images[1, :, :, 58:].any()
    exported = ExportableDetector(mask_rcnn)
    with torch.inference_mode():
        outputs = exported(case.images, case.sizes)
    arrays = dict(zip(exported.names, (one.numpy() for one in outputs), strict=True))
    samples = [sample.clone() for sample in case.samples]
    for sample, found in zip(samples, split(arrays), strict=True):
        sample.pred_instances = as_instances(found, sample, 0.5)
    ours, theirs = found_by(samples), found_by(predict(mask_rcnn, case))
    for one, other in zip(ours, theirs, strict=True):
        agreement = agree(one, other)
        assert agreement.compared > 8 and agreement.lacking == 0
        assert agreement.worst_mask is not None and agreement.worst_mask > 0.99
    assert [one.masks.shape[1:] for one in ours] == [(64, 96), (80, 48)]


def test_rounding_of_scores_is_of_their_last_digits(mask_rcnn) -> None:
    case = prepare(mask_rcnn, [picture(64, 96)], (64, 96))
    (before,) = found_by(predict(mask_rcnn, case))
    with rounded_otherwise(mask_rcnn, 0):
        (other,) = found_by(predict(mask_rcnn, case))
    assert agree(before, other).lacking == 0
    assert agree(before, other).worst_score > 0
    assert agree(before, found_by(predict(mask_rcnn, case))[0]).worst_score == 0  # As it was.


@torch.no_grad()
def test_boxes_of_one_score_are_excused_whichever_stays(mask_rcnn) -> None:
    """Scores that are the same number in float32 become different ones."""
    layer = mask_rcnn.rpn_head.rpn_cls
    maps = torch.full((1, layer.in_channels, 2, 2), 0.0)
    bias = layer.bias.clone()
    try:
        layer.bias.fill_(15.0)
        scores = []
        for seed in range(4):
            with rounded_otherwise(mask_rcnn, seed):
                scores.append(layer(maps).sigmoid().flatten())
        orders = {tuple(one.argsort(descending=True, stable=True).tolist()) for one in scores}
        assert len(orders) > 1
        assert max((one - layer(maps).sigmoid().flatten()).abs().max() for one in scores) < 1e-6
    finally:
        layer.bias.copy_(bias)


def test_a_tie_in_a_padded_picture_is_excused_and_a_fault_beside_it_is_not() -> None:
    """Of neighbours that look alike the score decides, by 6e-8: once one stays, once two others.

    So it was found between PyTorch and onnxruntime, whose maps are within 2e-6 of each other.
    """
    retinanet, size = detector('retinanet', attention='sge'), (257, 90)
    images = padded(pictures((3, 257, 331), seed=257)[2:], torch.tensor([size]))
    info = dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0))
    case = Case(images, [DetDataSample(metainfo=info)])
    (before,) = found_by(predict(retinanet, case))
    moved = []
    for seed in range(8):
        with rounded_otherwise(retinanet, seed):
            moved += found_by(predict(retinanet, case))
    apart = [agree(before, other).lacking for other in moved]
    other = moved[apart.index(max(apart))]
    assert 0 in apart and 1 <= max(apart) <= 4
    excused = agree(before, other, others=moved)
    assert (excused.lacking, excused.excused) == (0, max(apart))
    shifted = replace(other, boxes=other.boxes + np.eye(len(other.boxes), 4, dtype='f') * 9)
    assert agree(before, shifted, others=moved).lacking >= 2


def test_pytorch_looks_again_at_images_changed_as_a_tolerance_says(mask_rcnn, monkeypatch) -> None:
    looked_at = []

    def seen(model, case: Case):
        looked_at.append(case.images)
        return predict(model, case)

    class Blind:
        """A file that finds nothing."""

        def detect(self, images: np.ndarray, sizes: np.ndarray) -> list[Found]:
            return [Found(np.empty((0, 4), 'f'), np.empty(0, 'f'), np.empty(0, int))]

    monkeypatch.setattr(check, 'predict', seen)
    graph = Graph(mask_rcnn, 'detector', (64, 96), dynamic=False)
    (row,) = check.Check(graph, [picture(64, 96)], 0.5).rows(Blind(), Tolerance(change=0.01))
    assert len(looked_at) == 1 + check.TRIALS
    assert row.agreement.compared > 8 and not row.holds(EXACT)  # Even if none of them is steady.
    for images in looked_at[1:]:
        change = images / looked_at[0] - 1
        assert float(change[looked_at[0] != 0].std()) == pytest.approx(0.01, rel=0.05)


def test_the_pages_way_to_paste_a_mask() -> None:
    text = PAGE.read_text(encoding='utf-8')
    names = dict(np=np)
    exec(
        next(one for one in re.findall(r'```python\n(.*?)```', text, re.S) if 'paste' in one), names
    )
    mask = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for box in ([3.2, 4.1, 40.7, 30.3], [-5.0, 2.0, 12.5, 60.0]):
        pasted, _ = _do_paste_mask(mask, torch.tensor([box]), 48, 64, skip_empty=False)
        ours = names['paste'](mask[0, 0].numpy(), box, 48, 64)
        assert (ours != (pasted[0] >= 0.5).numpy()).sum() <= 1
        assert ours.any()
