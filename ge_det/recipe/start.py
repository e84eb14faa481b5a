"""What the backbone starts from: weights at hand, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ge_det.config_writer.options import checkpoint_of
from ge_det.errors import UserError
from ge_det.reading.download import cached_file, is_url
from ge_det.reading.reachable import why_not_at_hand

_WIDTH = 64  # Of the networks whose weights are published.
_SMALL_WIDTH = 32  # Of one that is small and starts from nothing.


class Start(NamedTuple):
    """What a backbone starts from.

    Attributes:
        arguments (dict): ``depth``, ``base_channels``, ``pretrained`` and ``attention``.
        value (str): As ``--pretrained`` takes it.
        reason (str): Why these.
    """

    arguments: dict[str, Any]
    value: str
    reason: str


def choose_start(given: Mapping[str, Any], attention: str) -> Start:
    """Take ImageNet weights where they fit and can be had; a small network can do without.

    Args:
        given (Mapping[str, Any]): What the user asked for, among them ``small``.
        attention (str): Short name of the block.

    Raises:
        UserError: If weights that were asked for, or that a network of full size starts from, are
            not there and cannot be fetched.
    """
    depth = given.get('depth', 18 if given['small'] else 50)
    width = given.get('base_channels', _WIDTH)
    asked = given.get('pretrained', 'auto')
    random = dict(depth=depth, attention=attention, pretrained='none')
    random['base_channels'] = given.get('base_channels', _SMALL_WIDTH if given['small'] else _WIDTH)
    if asked == 'none':
        return Start(random, 'none', 'as asked; learning from nothing takes longer')
    checkpoint = checkpoint_of(asked, depth, width, attention)
    if checkpoint is None:
        why = f'none are published for base-channels {width}; --pretrained FILE takes your own'
        return Start(random, 'none', why)
    why_not = why_not_at_hand(checkpoint)
    if why_not is None:
        fit = dict(depth=depth, base_channels=width, pretrained=checkpoint, attention=attention)
        if asked != 'auto':
            return Start(fit, asked, 'as asked')
        is_here = cached_file(checkpoint).is_file()
        where = 'here already' if is_here else 'fetched when the training starts'
        return Start(
            fit, Path(checkpoint).name, f"ImageNet's, {where}: few photos go far with them"
        )
    if asked == 'auto' and given['small']:
        why = (
            f"ImageNet's cannot be fetched ({why_not}), so it starts at random, as --from-scratch "
            f'does; better, fetch {checkpoint} elsewhere and give it as --pretrained FILE'
        )
        return Start(random, 'none', why)
    raise UserError(_message(checkpoint, why_not))


def _message(checkpoint: str, why_not: str) -> str:
    if not is_url(checkpoint):
        return f'{checkpoint}: {why_not}; check --pretrained'
    return (
        f'{checkpoint}: cannot be fetched ({why_not}); without a network, fetch the file elsewhere '
        f'and give it as --pretrained FILE, or put it at {cached_file(checkpoint)}; --from-scratch '
        'starts from random weights'
    )
