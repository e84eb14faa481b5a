"""Hooks of MMEngine."""

from .channels_last import ChannelsLast
from .invalid_loss import StopAtInvalidLoss
from .resumable_checkpoints import ResumableCheckpoints
from .resumable_randomness import ResumableRandomness

__all__ = ['ChannelsLast', 'ResumableCheckpoints', 'ResumableRandomness', 'StopAtInvalidLoss']
