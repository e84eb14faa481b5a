"""Residual networks for pictures of 32x32, with our blocks in every unit."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from ge_det.block_config import block_class, block_config
from ge_det.blocks import AttentionBlock
from ge_det.blocks.checks import check_choice, check_positive_int
from ge_det.errors import UserError

_SIDES = (32, 16, 8)
_STEM = 16


class PreActUnit(nn.Module):
    """A residual unit that normalises before it convolves, with a gate before the addition.

    Args:
        inputs (int): Input channels.
        outputs (int): Output channels.
        stride (int): Of the unit, 1 or 2.
        bottleneck (bool): 1x1, 3x3 and 1x1 instead of 3x3 and 3x3.
        gates (dict[str, nn.Module]): The gate by its name; empty for a plain unit.
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int, bottleneck: bool, gates: dict[str, nn.Module]
    ) -> None:
        super().__init__()
        narrow = outputs // 4
        # Channels, kernel and stride of each convolution; the first has the stride, the 3x3 one of
        # a bottleneck likewise.
        steps = [(outputs, 3, stride), (outputs, 3, 1)]
        if bottleneck:
            steps = [(narrow, 1, 1), (narrow, 3, stride), (outputs, 1, 1)]
        layers: list[nn.Module] = []
        channels = inputs
        for width, kernel, step in steps:
            conv = nn.Conv2d(channels, width, kernel, step, kernel // 2, bias=False)
            layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True), conv]
            channels = width
        self.before = nn.Sequential(*layers[:2])
        self.branch = nn.Sequential(*layers[2:])
        changes = inputs != outputs or stride > 1
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else None
        self.gate_name = next(iter(gates), '')
        for name, gate in gates.items():
            self.add_module(name, gate)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        activated = self.before(x)
        identity = x if self.shortcut is None else self.shortcut(activated)
        y: Tensor = self.branch(activated)
        if self.gate_name:
            y = getattr(self, self.gate_name)(y)
        return identity + y


@MODELS.register_module()
class CifarResNet(BaseModule):
    """The networks of Table 5 of the Gather-Excite paper, of any depth.

    Three stages of n units each on maps of 32x32, 16x16 and 8x8. Units normalise first, as in He et
    al. 2016, https://arxiv.org/abs/1603.05027, whose figures the paper's plain ResNet-110 and
    ResNet-164 have, and in the wide networks of Zagoruyko and Komodakis 2016,
    https://arxiv.org/abs/1605.07146. Shortcuts are 1x1 convolutions where the shape changes.

    The gate stands at the end of the residual branch of every unit, before the addition. No
    normalisation and no ReLU follow there, so units run their modules one after another.

    Args:
        depth (int): 6n + 2, or 9n + 2 with bottlenecks; wide networks count 6n + 4.
        bottleneck (bool): Whether units have 1x1, 3x3 and 1x1 convolutions and four times the
            channels. Defaults to False.
        widen (int): Factor of the channels, 16, 32 and 64 without one. Defaults to 1.
        attention (dict | str, optional): As of :class:`ge_det.AttentionResNet`. Defaults to None.
        init_cfg (dict, optional): See mmengine's BaseModule; the convolutions of the trunk start
            with He et al.'s normal distribution by fan out. Defaults to None.

    Raises:
        ValueError: If the depth does not fit, or the block does not; one line.
    """

    def __init__(
        self,
        depth: int,
        *,
        bottleneck: bool = False,
        widen: int = 1,
        attention: dict[str, Any] | str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choice('bottleneck', bottleneck, (True, False))
        check_positive_int('widen', widen)
        count = _units_a_stage(depth, bottleneck)
        widths = [_STEM * widen * (4 if bottleneck else 1) * 2**stage for stage in range(3)]
        block = block_config(attention, widths[0])
        self.stem = nn.Conv2d(3, _STEM, 3, padding=1, bias=False)
        channels = _STEM
        for stage, width in enumerate(widths):
            units = []
            for index in range(count):
                stride = 2 if stage and not index else 1
                gates = _gate(block, width, stage)
                units.append(PreActUnit(channels, width, stride, bottleneck, gates))
                channels = width
            self.add_module(f'stage{stage + 1}', nn.Sequential(*units))
        self.end = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self._start()

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """(N, 3, 32, 32) to one map (N, 64 * widen, 8, 8), four times as wide with bottlenecks."""
        return (self.end(self.stage3(self.stage2(self.stage1(self.stem(x))))),)

    def gates(self) -> dict[str, nn.Module]:
        """The blocks by their names."""
        units = ((n, m) for n, m in self.named_modules() if isinstance(m, PreActUnit))
        return {
            f'{name}.{unit.gate_name}': getattr(unit, unit.gate_name)
            for name, unit in units
            if unit.gate_name
        }

    def _start(self) -> None:
        inside = {module for gate in self.gates().values() for module in gate.modules()}
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module not in inside:
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')


def _units_a_stage(depth: int, bottleneck: bool) -> int:
    size, rests, told = (9, (2,), '9n + 2') if bottleneck else (6, (2, 4), '6n + 2 or 6n + 4')
    if type(depth) is not int or depth < size or depth % size not in rests:
        raise UserError(
            f'depth={depth!r} is not allowed with bottleneck={bottleneck}: it must be {told}'
        )
    return depth // size


def _gate(config: dict[str, Any] | None, channels: int, stage: int) -> dict[str, nn.Module]:
    """A block for a unit, by the name it has there; none without a config."""
    if config is None:
        return {}
    kind: Any = block_class(config)
    arguments = {key: value for key, value in config.items() if key not in ('type', 'postfix')}
    if issubclass(kind, AttentionBlock):
        follows = kind.stage_kwargs(stage, arguments)
        if isinstance(follows.get('grid'), tuple):  # Of the maps of ImageNet's pictures.
            follows['grid'] = (_SIDES[stage],) * 2
        arguments |= follows
    gate = kind(in_channels=channels, **arguments)
    return {f'{kind._abbr_}{config.get("postfix", "")}': gate}
