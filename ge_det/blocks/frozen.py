"""Gates that somebody's ``frozen_stages`` froze before they ever learned."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from typing_extensions import Self


class NoticesFreezing(nn.Module):
    """Warns when it is to train without a weight that was loaded or may learn.

    mmdet's own backbones freeze whole stages in their constructor, new plugins included.

    Attributes:
        may_be_frozen (bool): Whether that needs no explanation: weights were loaded, or a network
            of ours decided it.
    """

    may_be_frozen = False

    def train(self, mode: bool = True) -> Self:
        """Set the mode; warn of weights that are random and frozen."""
        parameters = [] if self.may_be_frozen or not mode else list(self.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            # The same text for all blocks of a class: Python shows it once.
            warnings.warn(
                f'gates in frozen stages were not loaded and will never learn '
                f'({type(self).__name__}): lower frozen_stages, or use AttentionResNet with '
                'freeze_gates=False',
                stacklevel=2,
            )
        return super().train(mode)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        self.may_be_frozen |= any(key.startswith(prefix) for key in state_dict)
        super()._load_from_state_dict(state_dict, prefix, *args)
