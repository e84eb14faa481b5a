"""What the importer needs to know of a source of weights."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ge_det.errors import CheckpointError
from ge_det.reading.download import is_url


class Source(ABC):
    """A project that publishes weights.

    Attributes:
        name (str): The value of ``source=``.
    """

    name: str

    def locate(self, checkpoint: str) -> str:
        """Path or URL of a checkpoint.

        Args:
            checkpoint (str): Path, URL, or the name of a model that the project publishes.

        Returns:
            str: Path or URL.

        Raises:
            CheckpointError: If it is a name that the project does not have.
        """
        if is_url(checkpoint) or is_path(checkpoint):
            return checkpoint
        return self.resolve(checkpoint)

    @abstractmethod
    def resolve(self, model: str) -> str:
        """URL of a published model by its name; raise a CheckpointError if there is none."""

    @abstractmethod
    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        """Whether a state dict, under the names in its file, can only be from here."""

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A backbone's tensors under the names, and in the shapes, of AttentionResNet.

        Args:
            state (Mapping[str, Tensor]): Under the source's names, without a prefix.

        Returns:
            dict[str, Tensor]: What has no counterpart keeps its name; so does all by default.
        """
        return dict(state)

    def network(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """``style`` and ``stem_pool`` of the AttentionResNet that computes what they did."""
        return dict(style='pytorch', stem_pool='padded')

    def objections(self, state: Mapping[str, Tensor]) -> list[str]:
        """Why no AttentionResNet computes what these weights did, a clause each."""
        return []


def is_path(checkpoint: str) -> bool:
    """Whether a string that is no URL means a file rather than a model's name."""
    looks_like_file = checkpoint.endswith(('.pth', '.pt', '.tar', '.bin', '.safetensors', '.ckpt'))
    has_folder = '/' in checkpoint or '\\' in checkpoint or checkpoint.startswith('~')
    return looks_like_file or has_folder or Path(checkpoint).is_file()


def unknown_model(source: str, model: str, known: Collection[str]) -> CheckpointError:
    """The error for a name that neither is a file nor a model of the source."""
    close = difflib.get_close_matches(model, known, n=3, cutoff=0.5)
    hint = (
        f'did you mean {", ".join(close)}?'
        if close
        else f'is it a path? Of its {len(known)} models, some are {", ".join([*known][:3])}'
    )
    return CheckpointError(f'{model!r} is neither a file nor a model of {source}: {hint}')
