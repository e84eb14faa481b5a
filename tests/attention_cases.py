"""Every block as the value of ``attention=``, by its short name."""

from ge_det.catalogue import NAMES, attention_config

THETA = dict(type='ge_det.GatherExcite', variant='theta')


def _is_shown_elsewhere(name):
    """θ⁻ and θ⁺ of extents 2 and 4 bring nothing that θ of these and they of 8 do not."""
    return name.endswith(('-e2', '-e4')) and not name.startswith('ge-theta-e')


ATTENTION = {name: attention_config(name) for name in NAMES if not _is_shown_elsewhere(name)}
ATTENTION['se-no-bias'] = dict(type='ge_det.SqueezeExcite', bias=False)
