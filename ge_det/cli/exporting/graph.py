"""What of a detector goes into a file, at which size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ge_det.blocks.gated_backbone import as_gated
from ge_det.errors import UserError
from ge_det.export.detector import (
    TRANSLATIONS,
    ExportableDetector,
    check_maps_supported,
    check_supported,
)
from ge_det.export.features import Features
from ge_det.export.program import BOUNDS
from ge_det.export.quantise import quiet_logs
from ge_det.export.to_onnx import write_onnx
from ge_det.flops.config_network import default_shape

Size = tuple[int, int]

_LARGEST = (800, 1333)  # Of a config that tells none.


@dataclass(frozen=True)
class Graph:
    """A detector, or the maps of one, for a file.

    Args:
        model (nn.Module): The detector.
        what (str): ``'detector'``, ``'features'`` or ``'backbone'``.
        size (tuple[int, int]): Height and width of the file, or of the example if it takes any.
        dynamic (bool): Whether batch, height and width stay open.
    """

    model: Any
    what: str
    size: Size
    dynamic: bool

    @property
    def is_detector(self) -> bool:
        """Whether detections come out, not maps."""
        return self.what == 'detector'

    @property
    def task(self) -> str:
        """As the metadata name it."""
        if self.is_detector:
            return 'segment' if getattr(self.model, 'with_mask', False) else 'detect'
        return self.what

    def check_supported(self) -> None:
        """Raise a UserError if it has no form in ONNX; it says what of the detector has one."""
        if self.is_detector:
            check_supported(self.model)
        else:
            check_maps_supported(self.network())

    def network(self, with_stages: bool = False) -> nn.Module:
        """The network that is written."""
        if self.is_detector:
            return ExportableDetector(self.model, with_stages)
        return Features(self.model, self.what)  # type: ignore[arg-type]

    def inputs(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """What the network takes of a batch."""
        return (images, sizes) if self.is_detector else (images,)

    def write(self, file: Path, with_stages: bool = False) -> None:
        """Write the file, unchecked."""
        network: Any = self.network(with_stages)
        with quiet_logs():
            write_onnx(
                network,
                torch.zeros(1, 3, *self.size),
                file,
                inputs=dict(sizes=torch.tensor([self.size])) if self.is_detector else {},
                outputs=network.names,
                dynamic=self.dynamic,
                translations=TRANSLATIONS if self.is_detector else {},
            )

    def other_sizes(self) -> list[Size]:
        """Two more to check a file at that takes any."""
        if not self.dynamic:
            return []
        height, width = self.size
        wanted = [(width, height), (0.7 * height, 0.8 * width)]
        wanted += [(1.5 * height, width), (height, 1.5 * width), (0.5 * height, width)]
        fitting = dict.fromkeys(fitted(one, self.divisor) for one in wanted)
        return [size for size in fitting if size != self.size][:2]

    @property
    def divisor(self) -> int:
        """What height and width are multiples of."""
        return int(self.model.data_preprocessor.pad_size_divisor)

    def gates(self) -> list[str]:
        """Names of the attention blocks in the model."""
        return [f'backbone.{name}' for name in as_gated(self.model.backbone).gates()]


def choose_size(cfg: Any, model: Any, given: Sequence[int] | None) -> Size:
    """The size of ``--size``, or that of the config's pictures.

    Raises:
        UserError: If the one given is out of bounds or no multiple of the pad divisor.
    """
    divisor = int(model.data_preprocessor.pad_size_divisor)
    if given is None:
        return fitted(default_shape(cfg) or _LARGEST, divisor)
    height, width = given
    least, most = BOUNDS['height']
    if not all(least <= side <= most for side in given):
        raise UserError(f'--size {height} {width}: sides must be {least} to {most} pixels')
    if height % divisor or width % divisor:
        near = ' '.join(map(str, fitted((height, width), divisor)))
        raise UserError(
            f'--size {height} {width}: this detector pads its pictures to multiples of {divisor}; '
            f'give --size {near}'
        )
    return height, width


def fitted(size: Sequence[float], divisor: int) -> Size:
    """The next size above that the divisor divides, within the bounds."""
    least, most = BOUNDS['height']
    low, high = -(-least // divisor) * divisor, most // divisor * divisor
    height, width = (min(high, max(low, int(-(-side // divisor)) * divisor)) for side in size)
    return height, width
