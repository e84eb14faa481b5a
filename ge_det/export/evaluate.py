"""Average precision of an exported file, by mmdet's own data pipeline and evaluator."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import mmcv
import numpy as np
import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from ge_det.compat.configs_of_tests import dump_beside_log
from ge_det.errors import UserError
from ge_det.export.cases import as_instances
from ge_det.export.metadata import DETECTORS
from ge_det.export.session import Session


class OnnxDetector(BaseModel):
    """A detector for mmdet's test loop whose network is a file.

    Args:
        session (Session): The file, of a whole detector.

    Raises:
        UserError: If it is none.
    """

    def __init__(self, session: Session) -> None:
        about = session.metadata
        if about.task not in DETECTORS:
            raise UserError(
                f'{session.file}: gives maps, not detections; export it with '
                '--what detector to measure it'
            )
        super().__init__(
            DetDataPreprocessor(
                mean=about.mean,
                std=about.std,
                bgr_to_rgb=about.channels == 'RGB',
                pad_size_divisor=about.pad_divisor,
                pad_value=about.pad_value,
            )
        )
        self.session = session
        self.about = about

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'predict') -> Any:
        """Only predictions are to be had; see :meth:`test_step`."""
        raise NotImplementedError('a file neither trains nor gives raw outputs')

    @torch.no_grad()
    def test_step(self, data: Any) -> list[DetDataSample]:
        """The detections in a batch of the test pipeline."""
        if self.about.size is None:
            return self._detect(data['inputs'], data['data_samples'])
        found = []
        for picture, sample in zip(data['inputs'], data['data_samples'], strict=True):
            found += self._detect([_fit(picture, sample, self.about.size)], [sample])
        return found

    def _detect(self, pictures: Any, samples: Any) -> list[DetDataSample]:
        data = self.data_preprocessor(dict(inputs=pictures, data_samples=samples), False)
        images, samples = data['inputs'].numpy(), data['data_samples']
        sizes = np.array([sample.img_shape[:2] for sample in samples])
        if self.about.size is not None:
            more = [(0, side - has) for side, has in zip(self.about.size, images.shape[2:])]  # noqa: B905
            images = np.pad(images, [(0, 0), (0, 0), *more], constant_values=self.about.pad_value)
        every = self.session.detect(images, sizes)
        for found, sample in zip(every, samples, strict=True):
            sample.pred_instances = as_instances(found, sample, self.about.mask_threshold)
        return list(samples)


def _fit(picture: torch.Tensor, sample: DetDataSample, size: tuple[int, int]) -> torch.Tensor:
    """A picture (3, H, W) that is too large for a file of fixed size is made smaller."""
    height, width = picture.shape[1:]
    times = min(size[0] / height, size[1] / width)
    if times >= 1:
        return picture
    new = max(1, int(width * times)), max(1, int(height * times))
    resized = mmcv.imresize(picture.numpy().transpose(1, 2, 0), new)
    across, down = sample.scale_factor
    factor = (across * new[0] / width, down * new[1] / height)
    sample.set_metainfo(dict(img_shape=resized.shape[:2], scale_factor=factor))
    return torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1)))


def evaluate(cfg: Config, session: Session, work_dir: Path) -> dict[str, float]:
    """Measure a file on the test set of a config.

    Args:
        cfg (Config): Of a detector with a test set; its model and weights are not looked at.
        session (Session): The file.
        work_dir (Path): For the log and the figures.

    Returns:
        dict[str, float]: The figures of its evaluator, such as ``'coco/bbox_mAP'``.

    Raises:
        UserError: If the file is of no detector.
    """
    return evaluate_model(cfg, OnnxDetector(session), work_dir)


def evaluate_model(cfg: Config, detector: nn.Module, work_dir: Path) -> dict[str, float]:
    """The same of a detector that is built already, with the weights that it has."""
    cfg = cfg.copy()
    cfg.work_dir, cfg.load_from, cfg.resume = str(work_dir), None, False
    # MMEngine has one log and one visualizer of a name, and an earlier one's writes elsewhere.
    cfg.experiment_name = uuid4().hex
    if isinstance(cfg.get('visualizer'), dict):
        cfg.visualizer.name = cfg.experiment_name

    class BuiltRunner(Runner):
        """MMEngine's, with a network that is there already."""

        def build_model(self, model: Any) -> Any:
            return detector

        dump_config = dump_beside_log

    figures: dict[str, float] = BuiltRunner.from_cfg(cfg).test()
    return figures
