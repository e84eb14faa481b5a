"""The one error of this package."""


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not fit; the message names the likely cause."""
