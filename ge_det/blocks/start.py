"""How a block begins: as its authors did, or so that a network keeps computing what it did."""

from __future__ import annotations

from torch import Tensor, nn


class Start(nn.Module):
    """What an import and MMEngine ask of a block that has not learned yet."""

    def init_weights(self) -> None:
        """Initialise as the authors did; MMEngine calls it after the backbone's own rules.

        By default the weights stay as the constructor made them.
        """

    def make_constant(self) -> Tensor | None:
        """Zero the weights that end the gate, so that it no longer depends on its input.

        It still learns: those weights receive a gradient, and the others once those have moved.

        Returns:
            Tensor | None: The value of the gate in each channel, (C,); None, with nothing changed,
            if the gate has no such weights.
        """
        return None

    def make_half(self) -> Tensor | None:
        """:meth:`make_constant` of a gate that nobody trained, at 0.5 if that can be.

        A normalisation takes 0.5 back without any rounding. By default that is where
        :meth:`make_constant` leads: biases start at 0.
        """
        return self.make_constant()

    def scale_statistics(self, x: Tensor) -> tuple[Tensor, ...] | None:
        """What :meth:`fit_scale` needs to know of features that reach the gate.

        Args:
            x (Tensor): Features (N, C, H, W).

        Returns:
            tuple[Tensor, ...] | None: Each (K, C), to be concatenated over batches; None, as by
            default, for a gate that :meth:`make_constant` makes constant.
        """
        return None

    def scale_statistics_of_mean(self, mean: Tensor) -> tuple[Tensor, ...] | None:
        """The same where nothing is known of the features but the mean of each channel, (C,)."""
        return None

    def fit_scale(self, *statistics: Tensor) -> Tensor:
        """The factor for its input with which a gate without weights changes that least.

        Args:
            *statistics (Tensor): From :meth:`scale_statistics`.

        Returns:
            Tensor: (C,).
        """
        raise NotImplementedError(f'{type(self).__name__} has no scale to fit')
