"""Labelled pictures for selectivity, from data sets of mmdet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ge_det.errors import UserError

from .unit_selectivity import LabelledBatch


def detection_batches(detector: Any, dataset: Any) -> Iterator[LabelledBatch]:
    """The pictures of a data set of mmdet, one by one, with the boxes as annotated.

    Args:
        detector (BaseDetector): Of mmdet, whose preprocessor makes its inputs.
        dataset (BaseDetDataset): Of mmdet, with a test pipeline. Crowds and what else is to be
            ignored are left out, pictures without a box too.

    Yields:
        LabelledBatch: Of one picture; boxes in pixels of the network's input.

    Raises:
        UserError: If the pipeline does not tell by how much it scales a picture.
    """
    for place in range(len(dataset)):
        # As annotated: test pipelines load the boxes behind the scaling.
        told = [one for one in dataset.get_data_info(place)['instances'] if not one['ignore_flag']]
        if not told:
            continue
        data = dataset[place]
        sample = data['data_samples']
        if 'scale_factor' not in sample:
            raise UserError(
                "the test pipeline does not tell scale_factor: put it into PackDetInputs' meta_keys"
            )
        batch = dict(inputs=[data['inputs']], data_samples=[sample])
        images = detector.data_preprocessor(batch, False)['inputs']
        labels = torch.tensor([one['bbox_label'] for one in told])
        scale = torch.tensor(sample.scale_factor).repeat(2)
        boxes = torch.tensor([one['bbox'] for one in told]) * scale
        yield LabelledBatch(images, [labels], [boxes])
