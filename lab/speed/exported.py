"""Networks of a group as ONNX files in onnxruntime, for `--onnx`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from ge_det.export.features import Features
from ge_det.export.session import Session
from ge_det.export.to_onnx import write_onnx

from .contenders import Contender
from .settings import SpeedSettings

NAMES = {'plain': 'plain-onnx', 'ours': 'ours-onnx'}
"""Of the contenders, by what they are made of."""


def onnx_contenders(
    settings: SpeedSettings, networks: Mapping[str, nn.Module], images: Tensor
) -> list[Contender]:
    """The same networks at the size of the images, on the threads of the run."""
    found = []
    for name, network in networks.items():
        run = _pass(network, settings, images)
        is_ours = name == 'ours'  # Another function than the plain network's.
        found.append(Contender(NAMES[name], network, settings, run, same_function=is_ours))
    return found


def _pass(network: nn.Module, settings: SpeedSettings, images: Tensor) -> Any:
    features = Features(network, 'backbone')
    with TemporaryDirectory() as folder:
        file = Path(folder) / 'network.onnx'
        write_onnx(features, images, file, outputs=features.names, dynamic=False)
        session = Session(file, settings.threads)

    def run(images: Tensor) -> Sequence[Tensor]:
        return [torch.from_numpy(one) for one in session.run(images.numpy()).values()]

    return run
