"""The trained detector that a command is given: a work dir, a checkpoint in it, or two files."""

from __future__ import annotations

from ge_det.cli.checks import check_file
from ge_det.errors import UserError
from ge_det.files import expanded
from ge_det.weights.trained import best_checkpoint, find_trained


def take_trained(checkpoint: str, config: str | None) -> tuple[str, str]:
    """The files of a detector.

    Args:
        checkpoint (str): Of ``--checkpoint``: a work dir, or the path or URL of weights.
        config (str, optional): Of ``--config``; None is the one in the work dir.

    Returns:
        tuple[str, str]: Config and weights.

    Raises:
        UserError: If one of them is not there.
    """
    if config is None:
        if '://' in checkpoint:
            raise UserError(f'{checkpoint}: add --config with the config it was trained with')
        trained = find_trained(checkpoint)
        return str(trained.config), str(trained.checkpoint)
    check_file(config, 'config')
    folder = expanded(checkpoint)
    if folder.is_dir():
        return config, str(best_checkpoint(folder))
    check_file(checkpoint, 'checkpoint')
    return config, checkpoint
