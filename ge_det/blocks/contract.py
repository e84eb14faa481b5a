"""Whether a block tells a residual unit all that fused execution needs."""

from __future__ import annotations


def gap_in_contract(kind: type, base: type) -> str | None:
    """What fused execution lacks of a block: a method, or one that fits what a subclass changed.

    Args:
        kind (type): Class of a block.
        base (type): AttentionBlock.

    Returns:
        str | None: The reason in a clause; None if nothing is lacking.
    """
    # The place of the definition that a block uses: 0 is its own class, 1 the next one up.
    places = {
        name: next(place for place, parent in enumerate(kind.__mro__) if name in vars(parent))
        for name in ('forward', 'gate', 'coarse_gate', 'gate_from_wide', 'gate_from_narrow')
    }
    inherited = kind.__mro__.index(base)
    if places['gate_from_wide'] == inherited:
        return f'{kind.__name__} does not define gate_from_wide'
    for name in ('forward', 'gate', 'coarse_gate'):
        if places[name] < places['gate_from_wide']:
            return f'{kind.__name__} overrides {name}, but not gate_from_wide with it'
    if places['gate_from_wide'] < places['gate_from_narrow'] < inherited:
        return f'{kind.__name__} overrides gate_from_wide, but not gate_from_narrow with it'
    return None
