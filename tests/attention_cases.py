"""Every block as the value of ``attention=``, by its short name."""

import inspect

from ge_det.catalogue import NAMES, attention_config

THETA = dict(type='ge_det.GatherExcite', variant='theta')


def _is_shown_elsewhere(name):
    """θ⁻ and θ⁺ of extents 2 and 4 bring nothing that θ of these and they of 8 do not."""
    return name.endswith(('-e2', '-e4')) and not name.startswith('ge-theta-e')


ATTENTION = {name: attention_config(name) for name in NAMES if not _is_shown_elsewhere(name)}
ATTENTION['se-no-bias'] = dict(type='ge_det.SqueezeExcite', bias=False)


def narrow_attention():
    """Those that are blocks, small enough for 32 channels."""
    from ge_det.registry import MODELS

    gated = {name: dict(attention) for name, attention in ATTENTION.items() if attention}
    for attention in gated.values():
        arguments = inspect.signature(MODELS.get(attention['type'])).parameters
        smaller = dict(groups=8, ratio=4)
        attention.update({name: value for name, value in smaller.items() if name in arguments})
    return gated
