"""A network as a ``torch.export`` program whose batch, height and width stay open.

What Python decides by a size in the run that is written down holds for all sizes then, and is wrong
at others. So the axes are named and bounded: PyTorch checks that each decision holds everywhere
within the bounds, and one that does not is an error here instead of a file that is wrong at some
sizes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
import torch.fx.experimental._config
from torch import Tensor, nn

from ge_det.errors import UserError

BOUNDS: Mapping[str, tuple[int, int]] = MappingProxyType(
    dict(batch=(1, 32), height=(33, 2048), width=(33, 2048))
)
"""The open axes by name, with the least and the most that they are checked for."""

IMAGE_AXES = {0: 'batch', 2: 'height', 3: 'width'}
"""Of a batch of images; of every other input the first axis is the batch."""


def open_axes(arguments: tuple[Tensor, ...]) -> tuple[dict[int, torch.export.Dim], ...]:
    """The axes of images, and of further inputs, as ``torch.export`` takes them.

    Raises:
        UserError: If the images are out of bounds.
    """
    shape = arguments[0].shape
    for axis, name in IMAGE_AXES.items():
        least, most = BOUNDS[name]
        if not least <= shape[axis] <= most:
            raise UserError(f'{name} {shape[axis]} is out of bounds: it must be {least} to {most}')
    # One object a name, so that the inputs share the batch.
    dims = {
        name: torch.export.Dim(name, min=least, max=most) for name, (least, most) in BOUNDS.items()
    }
    images = {axis: dims[name] for axis, name in IMAGE_AXES.items()}
    return images, *({0: dims['batch']} for _ in arguments[1:])


def export_program(
    model: nn.Module, arguments: tuple[Tensor, ...], dynamic: bool = True
) -> torch.export.ExportedProgram:
    """Export a network that is in evaluation.

    Args:
        model (nn.Module): Called as ``model(*arguments)``.
        arguments (tuple[Tensor, ...]): An example: images (N, 3, H, W), then further inputs whose
            first axis is N. Values do not matter.
        dynamic (bool): Whether N, H and W stay open within :data:`BOUNDS`. Defaults to True.

    Raises:
        UserError: If the example is out of bounds, or the network decides something by an axis that
            is to stay open.
    """
    from torch._dynamo.exc import UserError as Refusal  # It has no public name.

    if not dynamic:
        return torch.export.export(model, arguments)
    shapes: Any = open_axes(arguments)
    settings: Any = torch.fx.experimental._config
    # PyTorch takes an axis of length 1 for one that stays so.
    arguments = tuple(torch.cat([a, a]) if len(a) == 1 else a for a in arguments)
    try:
        # PyTorch's ONNX exporter sets it as well. Without, the strides of a map that may have a
        # single row are a decision: of a single row they would not matter.
        with settings.patch(backed_size_oblivious=True):
            return torch.export.export(model, arguments, dynamic_shapes=shapes)
    except Refusal as error:
        bound = [name for name in BOUNDS if re.search(rf'\b{name}\b', str(error))]
        if not bound:
            raise
        names = ' and '.join(', '.join(bound).rsplit(', ', 1))
        height, width = arguments[0].shape[2:]
        raise UserError(
            f'this network decides something by its {names}, so what is exported at '
            f'{height}x{width} would be wrong at other sizes; export it for one size: '
            f'--size {height} {width}, or dynamic=False'
        ) from error
