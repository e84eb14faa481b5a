"""Hooks of MMEngine."""

from ge_det.reading.mmengine_loader import register_loader

from .channels_last import ChannelsLast
from .invalid_loss import StopAtInvalidLoss
from .paired_start import PairedStart
from .resumable_checkpoints import ResumableCheckpoints
from .resumable_randomness import ResumableRandomness
from .timely_progress import TimelyProgress
from .write_report import WriteReport
from .zero_precision import ZeroPrecision

__all__ = [
    'ChannelsLast',
    'PairedStart',
    'ResumableCheckpoints',
    'ResumableRandomness',
    'StopAtInvalidLoss',
    'TimelyProgress',
    'WriteReport',
    'ZeroPrecision',
]

register_loader()  # A runner with one of them reads checkpoints safely.
