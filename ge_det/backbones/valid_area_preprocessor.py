"""The sizes of pictures, from mmdet's batch to the backbone."""

from __future__ import annotations

from typing import Any

from mmdet.models.data_preprocessors import DetDataPreprocessor

from .valid_area_resnet import SIZES_OF_BATCH


class ValidAreaPreprocessor(DetDataPreprocessor):
    """mmdet's DetDataPreprocessor, which also tells the backbone how far each picture reaches.

    For ``AttentionResNet(valid_area=True)``, in any config of a detector:
    ``model.data_preprocessor.type=ge_det.ValidAreaPreprocessor``. It takes the arguments of mmdet's
    own and gives the same batch. The sizes are the ``img_shape`` of the data samples, after
    ``batch_augments``, or those of the pictures where there are no samples. They are an attribute
    of the batch, so a detector that hands the backbone another tensor loses them, which the
    backbone then says.
    """

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepare a batch; see mmdet's DetDataPreprocessor."""
        alone = [tuple(picture.shape[-2:]) for picture in data['inputs']]
        prepared: dict[str, Any] = super().forward(data, training)
        batch, samples = prepared['inputs'], prepared['data_samples']
        if samples is not None:
            alone = [
                tuple(sample.metainfo.get('img_shape', own)[:2])
                for sample, own in zip(samples, alone, strict=True)
            ]
        setattr(batch, SIZES_OF_BATCH, alone)
        return prepared
