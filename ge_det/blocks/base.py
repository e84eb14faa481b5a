"""What every attention block shares, and what it may tell the residual unit it stands in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from torch import Tensor

from ge_det.ops.expansion import affine
from ge_det.ops.gated_residual import apply_gate, full_gate
from ge_det.ops.own_areas import OwnAreas
from ge_det.ops.tracing import is_traced

from .checks import check_positive_int
from .constant import MayBeConstant
from .contract import BlockType
from .frozen import NoticesFreezing
from .own_areas import gate_of_areas
from .variant import Variant


class AttentionBlock(NoticesFreezing, MayBeConstant, metaclass=BlockType):
    """A gate on a feature map: ``forward(x) = x * gate(x)``.

    The blocks follow mmcv's plugin layer protocol (``in_channels`` by keyword, ``_abbr_`` as the
    name), so they can stand in ``plugins=`` of any backbone that has them; they need torch alone.

    A block defines :meth:`coarse_gate`, or :meth:`gate` where no coarse one exists. That is enough
    to work anywhere. To run fused at the end of a residual unit it also defines
    :meth:`gate_from_wide`, and :meth:`gate_from_narrow` if its gate is known before the unit's last
    convolution. Who overrides one of these four in a subclass overrides all that follow from it: a
    unit that finds them at odds runs its modules one after another.

    Args:
        in_channels (int): Number of channels C of the input.

    Attributes:
        variants (tuple[Variant, ...]): Its short names; none if the catalogue does not list it.
        contract_gap (str | None): What fused execution lacks of the class; found by itself.
        unfused_because (str | None): A reason of the block's own to run one after another with the
            other modules of its unit, such as dropout; None, as by default, if it has none.
        gate_broadcasts (bool): Whether the coarse gate needs no up-sampling at any size of map: it
            has one cell, or one for each position. Exporters leave sizes open and cannot see it:
            where it is False, as by default, they always up-sample, which is right of every gate.

    Raises:
        ValueError: If ``in_channels`` is not a positive integer.
    """

    _abbr_: str
    variants: ClassVar[tuple[Variant, ...]] = ()
    contract_gap: ClassVar[str | None]
    unfused_because: str | None = None
    gate_broadcasts: bool = False

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        check_positive_int('in_channels', in_channels)
        kind = type(self)
        if all(
            getattr(kind, name) is getattr(AttentionBlock, name)
            for name in ('forward', 'gate', 'coarse_gate')
        ):
            raise TypeError(f'{kind.__name__} must define coarse_gate or gate')
        self.in_channels = in_channels

    # ---- the gate ------------------------------------------------------------------------------

    def coarse_gate(self, x: Tensor) -> Tensor:
        """Gate values in (0, 1), at the resolution they have. Or override :meth:`gate`.

        Args:
            x (Tensor): Features (N, C, H, W).

        Returns:
            Tensor: (N, G, h, w) of the dtype of ``x``, G a divisor of C: channel c reads gate
            channel c // (C/G), position (i, j) cell (floor(ih/H), floor(jw/W)).
        """
        raise NotImplementedError(f'{type(self).__name__} has no coarse_gate')

    def gate(self, x: Tensor) -> Tensor:
        """Gate values in (0, 1) for each channel.

        Args:
            x (Tensor): Features (N, C, H, W).

        Returns:
            Tensor: Broadcastable to ``x``, of the dtype of ``x``.
        """
        self.check_input(x)
        return full_gate(self.coarse_gate(x), x, self.gate_broadcasts)

    def forward(self, x: Tensor, areas: OwnAreas | None = None) -> Tensor:
        """Gate the features.

        Args:
            x (Tensor): Features (N, C, H, W) of any spatial size, N = 0 included.
            areas (OwnAreas, optional): Where the pictures lie in padded maps: the gate of each is
                that of its own area, and its last row and column go on beyond. Defaults to None:
                they fill the maps.

        Returns:
            Tensor: (N, C, H, W) of the dtype of ``x``. Statistics run in float32 for float16 and
            bfloat16 inputs. Beside ``x``, only the coarse gate and small tensors are kept for the
            backward pass; it is not twice differentiable.

        Raises:
            ValueError: If ``x`` is not a 4-D tensor with ``in_channels`` channels.
        """
        self.check_input(x)
        if (constant := self.known_constant()) is not None:
            return x * constant.to(x.dtype)
        if type(self).gate is not AttentionBlock.gate:  # a subclass that has its own
            return x * self.answer('gate', x, areas).to(x.dtype)
        coarse = self.checked_gate('coarse_gate', self.answer('coarse_gate', x, areas), x.shape[0])
        return apply_gate(x, coarse.to(x.dtype), self.gate_broadcasts)

    def answer(self, view: str, x: Tensor, areas: OwnAreas | None = None) -> Tensor:
        """What ``gate`` or ``coarse_gate`` gives, of the pictures' own areas if they are told.

        Args:
            view (str): Name of the method.
            x (Tensor): Features (N, C, H, W).
            areas (OwnAreas, optional): See :meth:`forward`. Defaults to None.
        """
        if areas is None:
            answer: Tensor = getattr(self, view)(x)
            return answer
        return cast(Tensor, gate_of_areas(self, view, x, areas))

    def check_input(self, x: Tensor) -> None:
        """Raise a ValueError unless ``x`` is (N, in_channels, H, W)."""
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ValueError(
                f'{type(self).__name__} was built for inputs (N, {self.in_channels}, H, W), '
                f'got {tuple(x.shape)}'
            )

    def checked_gate(self, method: str, gate: Tensor, images: int) -> Tensor:
        """A coarse gate with one entry an image; raises a ValueError for what is none.

        Args:
            method (str): What returned it, for the message.
            gate (Tensor): (N, G, h, w), or (1, G, h, w) for all images.
            images (int): N.
        """
        if is_traced():
            return gate
        if gate.dim() != 4 or self.in_channels % gate.shape[1] or gate.shape[0] not in (1, images):
            raise ValueError(
                f'{type(self).__name__}.{method} returned {tuple(gate.shape)} for {images} images '
                f'of {self.in_channels} channels: a gate is (N, G, h, w), G a divisor of C'
            )
        return gate if gate.shape[0] == images else gate.expand(images, -1, -1, -1)

    # ---- what a residual unit may ask ------------------------------------------------------------

    @property
    def narrow_view(self) -> str | None:
        """What the gate follows from before the last convolution, in words; None if from nothing.

        For :meth:`AttentionResNet.execution_plan`, which calls the narrow map the input and the
        wide one the output.
        """
        is_asked = type(self).gate_from_narrow is not AttentionBlock.gate_from_narrow
        return 'its input, where that is enough for the block' if is_asked else None

    def try_contract(self) -> None:
        """Try what the block promises; AttentionResNet asks when it is made. See AveragedGate."""

    def gate_from_narrow(
        self, u: Tensor, weight: Tensor, scale: Tensor, shift: Tensor
    ) -> Tensor | None:
        """The gate of z = scale * (W u) + shift, before z is there.

        :mod:`ge_det.ops.expansion` has what brings averages and products from u to z.

        Autocast may be on, and ``u`` is of the network's own dtype, which may be a half: the
        functions there do the product with ``weight`` in the dtype of that.

        Args:
            u (Tensor): The unit's narrow map, (N, P, H, W).
            weight (Tensor): W, (C, P) in the dtype of statistics, float32 for half precision.
            scale (Tensor): (C,).
            shift (Tensor): (C,).

        Returns:
            Tensor | None: What :meth:`coarse_gate` gives for z, of any floating dtype; None, as by
            default, where it needs z or is cheaper with it.
        """
        return None

    def gate_from_wide(
        self, y: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        """The gate of z = scale * y + shift, without z being written down.

        Args:
            y (Tensor): The unit's wide map before its normalisation, (N, C, H, W).
            scale (Tensor, optional): (C,) in the dtype of statistics, together with ``shift`` or
                not at all.
            shift (Tensor, optional): (C,).

        Returns:
            Tensor: What :meth:`coarse_gate` gives for z, of any floating dtype.
        """
        return self.coarse_gate(affine(y, scale, shift).to(y.dtype))

    def gates_of_crops(
        self, view: str, crops: Sequence[Tensor], *affine: Tensor | None
    ) -> list[Tensor | None] | None:
        """The gates of pictures of several sizes, of a block that normalises over the batch.

        Args:
            view (str): Name of the method that gives a gate, such as ``'coarse_gate'``.
            crops (Sequence[Tensor]): What that takes of each picture, (n, K, h, w).
            *affine (Tensor, optional): Its further arguments.

        Returns:
            list[Tensor | None] | None: What the method gives for each crop, or None, as by default,
            to have each asked for by itself.
        """
        return None

    # ---- what the block says of itself ---------------------------------------------------------

    @property
    def kind(self) -> str:
        """What tells gates apart that have the same tensors or none; notes in files have it."""
        return type(self).__name__

    @classmethod
    def weightless_kind(cls, arguments: Mapping[str, Any]) -> str | None:
        """:attr:`kind` of a block with these arguments if that has no tensors, else None."""
        return None

    @classmethod
    def stage_kwargs(cls, stage: int, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Arguments that depend on the stage of a ResNet a block stands in.

        Args:
            stage (int): Stage index, 0 for ``layer1``.
            kwargs (dict): Arguments the user gave; they are not to be overridden.

        Returns:
            dict: Arguments to add, empty for most blocks.
        """
        return {}

    @classmethod
    def width_kwargs(cls, channels: int) -> dict[str, Any]:
        """Arguments that a narrow network needs, where the defaults do not fit it.

        Args:
            channels (int): Channels of the network's first stage.

        Returns:
            dict: Arguments to add, empty for most blocks.
        """
        return {}
