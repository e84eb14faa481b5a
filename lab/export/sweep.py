"""Worst deviation of exported backbones from PyTorch: block x depth x {present, legacy, OpenVINO}.

    PYTHONPATH=$PWD python -m lab.export.sweep [--blocks se,sge] [--depths 18,50] [--width 8]

ResNet-18 is exported at a small size and ResNet-50 at a large one with odd sides, each with a
feature pyramid, and run at eight sizes and batches. A deviation is the largest difference of a map
over the largest value of the map, here the worst of all maps and sizes. ``torch`` is PyTorch's own
in float32 from itself in float64: what rounding alone makes of these networks.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ge_det.backbones import AttentionResNet
from ge_det.blocks import AttentionBlock
from ge_det.catalogue import BLOCKS, attention_config, stage_channels
from ge_det.export.parity import deviation, largest
from ge_det.export.session import Session
from ge_det.export.to_onnx import write_onnx
from ge_det.words import aligned
from lab.export.openvino_session import OpenVinoSession

RUN_AT = (
    (1, 33, 65),
    (9, 64, 64),
    (2, 96, 128),
    (3, 100, 134),
    (5, 129, 320),
    (2, 229, 161),
    (1, 577, 897),
    (1, 800, 1344),
)
EXPORTED_AT = {18: (1, 96, 128), 50: (1, 577, 897)}


class Pyramid(nn.Module):
    """A backbone and mmdet's feature pyramid; the maps of both."""

    def __init__(self, name: str, depth: int, width: int) -> None:
        from mmdet.models.necks import FPN

        super().__init__()
        channels = stage_channels(depth, width)
        attention: Any = attention_config(name, channels[0])
        if 'plus' in name or name.endswith('se'):
            attention['ratio'] = min(16, channels[0] // 2)
        self.backbone = AttentionResNet(depth, attention, base_channels=width)
        self.neck = FPN(channels, 16, num_outs=5)
        self.names = [f'layer{i}' for i in range(1, 5)] + [f'level{i}' for i in range(5)]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (N, 3, H, W) to the maps of the stages, then those of the pyramid."""
        maps = self.backbone(images)
        return *maps, *self.neck(maps)


@torch.no_grad()
def network(name: str, depth: int, width: int) -> Pyramid:
    """With random weights, gates that differ from position to position, and fitting statistics."""
    torch.manual_seed(0)
    model = Pyramid(name, depth, width)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.3, 0.9)
        nn.init.uniform_(norm.bias, -0.3, 0.3)
        norm.train()
        norm.momentum = 1.0
    for gate in model.modules():
        if isinstance(gate, AttentionBlock):
            for parameter in gate.parameters():
                if parameter.dim() < 4:
                    nn.init.uniform_(parameter, -0.5, 0.5)
                elif parameter.shape[1:] == (1, 1, 1):  # SGE's
                    nn.init.normal_(parameter)
                elif parameter.shape[2:] == (1, 1):
                    nn.init.kaiming_normal_(parameter)
    model.train()
    for norm in norms:
        norm.train()
    model(torch.randn(16, 3, 320, 320))
    return model.eval()


def worst_of(actual: Sequence[Any], expected: Sequence[Tensor]) -> float:
    """The worst deviation of all maps; NaN if one is."""
    pairs = zip(actual, expected, strict=True)
    return largest(deviation(other.numpy(), np.asarray(one)) for one, other in pairs)


@torch.no_grad()
def row(name: str, depth: int, width: int, folder: Path) -> dict[str, float]:
    """Worst deviations of one network, by what ran it."""
    model = network(name, depth, width)
    present, legacy = folder / 'present.onnx', folder / 'legacy.onnx'
    batch, *size = EXPORTED_AT[depth]
    for file in (present, legacy):
        write_onnx(
            model,
            torch.rand(batch, 3, *size),
            file,
            outputs=model.names,
            dynamic=True,
            legacy=file is legacy,
        )
    contenders = {
        'present': Session(present, 1),
        'legacy': Session(legacy, 1),
        'OpenVINO': OpenVinoSession(present, 1),
        'OpenVINO, legacy': OpenVinoSession(legacy, 1),
    }
    examples = [torch.randn(batch, 3, *size) for batch, *size in RUN_AT]
    expected = [model(images) for images in examples]
    worst = {
        who: largest(
            worst_of(list(session.run(x.numpy()).values()), maps)
            for x, maps in zip(examples, expected, strict=True)
        )
        for who, session in contenders.items()
    }
    model.double()
    pairs = zip(expected, examples, strict=True)
    worst['torch'] = largest(worst_of(maps, model(x.double())) for maps, x in pairs)
    return worst


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--blocks', default=','.join(BLOCKS))
    parser.add_argument('--depths', default='18,50')
    parser.add_argument('--width', type=int, default=8, help='channels of the stem; 64 is full')
    arguments = parser.parse_args()
    table: list[list[str]] = []
    for depth in map(int, arguments.depths.split(',')):
        for name in arguments.blocks.split(','):
            start = time.time()
            with tempfile.TemporaryDirectory() as folder:
                worst = row(name, depth, arguments.width, Path(folder))
            table = table or [['block', 'depth', *worst]]
            table.append([name, str(depth), *(f'{value:.1e}' for value in worst.values())])
            print(f'{time.time() - start:.0f} s', *table[-1], flush=True)
    print('\n'.join(aligned(table, left=(0,))))


if __name__ == '__main__':
    main()
