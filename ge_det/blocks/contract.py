"""Whether a block tells a residual unit all that fused execution needs."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

from .plain import note_methods

# What a unit runs in place of the block itself, and what it takes from the block instead.
_RUNS = ('__call__', '_call_impl', 'forward', 'check_input', 'gate', 'coarse_gate')
_TELLS = ('gate_from_wide', 'gate_from_narrow')


class BlockType(ABCMeta):
    """Class of the classes of blocks: keeps their ``contract_gap`` up to date.

    It is looked for when a class is made and when one of its methods is set later, not when a
    network runs, so that ``torch.compile`` finds a constant.
    """

    contract_gap: str | None

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        cls.contract_gap = gap_in_contract(cls)
        note_methods(cls)

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in _RUNS + _TELLS:
            cls._find_gap()

    def _find_gap(cls) -> None:
        cls.contract_gap = gap_in_contract(cls)
        subclasses: Any = cls.__subclasses__()
        for kind in subclasses:
            kind._find_gap()


def gap_in_contract(kind: type) -> str | None:
    """What fused execution lacks of a block: a method, or one that fits what a subclass changed.

    Args:
        kind (type): Class of a block.

    Returns:
        str | None: The reason in a clause; None if nothing is lacking.
    """
    own = kind.__name__
    # Where each method is defined: 0 is in the class itself, 1 in the next one up.
    found = {
        name: [place for place, parent in enumerate(kind.__mro__) if name in vars(parent)]
        for name in _RUNS + _TELLS
    }
    base = found['gate_from_wide'][
        -1
    ]  # AttentionBlock, which defines all of them but the first two
    places = {name: where[0] for name, where in found.items()}
    told = [name for name in _TELLS if places[name] < base]
    if not told:
        return f'{own} does not define gate_from_wide'
    if places['coarse_gate'] == base and (told == ['gate_from_narrow'] or places['gate'] == base):
        return f'{own} does not define coarse_gate'
    for method in told:
        for name in _RUNS:
            if places[name] < places[method]:
                return f'{own} overrides {name}, but not {method} with it'
        is_override = any(places[method] < place < base for place in found[method])
        if is_override and min(places['gate'], places['coarse_gate']) > places[method]:
            return f'{own} overrides {method}, but not coarse_gate with it'
    if len(told) == 2 and places['gate_from_wide'] < places['gate_from_narrow']:
        return f'{own} overrides gate_from_wide, but not gate_from_narrow with it'
    return None
