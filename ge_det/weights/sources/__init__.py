"""Where weights come from, one file a source: its model names, its parameter names."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from torch import Tensor

from ge_det.errors import CheckpointError
from ge_det.reading.download import is_url

from . import ge_det, mmpretrain, pytorchinsight, timm, torchvision
from .base import Source, is_path

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        mmpretrain.SOURCE,
        torchvision.SOURCE,
        timm.SOURCE,
        pytorchinsight.SOURCE,
        ge_det.SOURCE,
    )
}
"""The values of ``source=``."""


def locate(checkpoint: str) -> str:
    """Path or URL of a checkpoint whose source is not told.

    Args:
        checkpoint (str): Path, URL, or a model name of any source.

    Returns:
        str: Path or URL.

    Raises:
        CheckpointError: If it is neither a file nor a name any source knows.
    """
    if checkpoint.startswith('torchvision://') or '.imagenet1k_v' in checkpoint.lower():
        return torchvision.SOURCE.locate(checkpoint)
    if is_url(checkpoint) or is_path(checkpoint):
        return checkpoint
    for source in (torchvision.SOURCE, timm.SOURCE):
        with suppress(CheckpointError):
            return source.resolve(checkpoint)
    return mmpretrain.SOURCE.resolve(checkpoint)


def guess_source(state: Mapping[str, Tensor]) -> Source:
    """The source whose parameter names a state dict has; for plain names, torchvision.

    Args:
        state (Mapping[str, Tensor]): Weights under the names in their file.

    Returns:
        Source: One of :data:`SOURCES`.
    """
    for source in SOURCES.values():
        if source.recognises(state):
            return source
    return torchvision.SOURCE


def find_source(name: str) -> Source:
    """The source of a name; raise a ValueError if there is none."""
    if not isinstance(name, str) or name not in SOURCES:
        raise ValueError(f'source={name!r} is not allowed: it must be one of {", ".join(SOURCES)}')
    return SOURCES[name]
