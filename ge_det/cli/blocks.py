"""List the attention blocks: short name, class, and parameters added to a ResNet-50.

ge-det blocks
"""

from __future__ import annotations

from collections.abc import Sequence

from ge_det.cli.parsing import new_parser

UNITS = (3, 4, 6, 3)  # Residual units in the four stages of a ResNet-50.


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line a block."""
    new_parser('blocks', __doc__, argv).parse_args(argv)
    from ge_det.catalogue import NAMES, attention_config

    print(f'{"short name":<20} {"added":>10}  class and arguments')
    for name in NAMES[1:]:
        config = attention_config(name)
        assert config is not None
        arguments = ''.join(f', {key}={value!r}' for key, value in config.items() if key != 'type')
        print(f'{name:<20} {added_parameters(name):>10,}  {config["type"]}{arguments}')
    return 0


def added_parameters(name: str) -> int:
    """Learnable parameters that a block in every residual unit adds to a ResNet-50."""
    import torch

    from ge_det.catalogue import CLASSES, attention_config, stage_channels

    config = attention_config(name) or {}
    kind = CLASSES[config.pop('type').partition('.')[2]]
    total = 0
    for stage, channels in enumerate(stage_channels(50, 64)):
        with torch.device('meta'):
            block = kind(channels, **config, **kind.stage_kwargs(stage, config))
        total += UNITS[stage] * sum(parameter.numel() for parameter in block.parameters())
    return total
