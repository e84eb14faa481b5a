"""This project's own classifiers and detectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ge_det.catalogue import CLASSES
from ge_det.errors import CheckpointError

from .base import Source

# The blocks whose names nobody else's files have: mmpretrain has SE's, the SGE authors SGE's.
_GATES = tuple(
    f'.{block._abbr_}.' for block in CLASSES.values() if block._abbr_ not in ('se_layer', 'sge')
)


class _GeDet(Source):
    """Our names; what stands outside the backbone is left out."""

    name = 'ge_det'

    def resolve(self, model: str) -> str:
        raise CheckpointError(f'{model!r}: there is no such file; check the path')

    def recognises(self, state: Mapping[str, Tensor]) -> bool:
        return any(gate in key for key in state for gate in _GATES) or any(
            key.startswith(('neck.', 'rpn_head.', 'bbox_head.', 'roi_head.')) for key in state
        )

    def network(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        return {}  # The config of the training says it.


SOURCE = _GeDet()
