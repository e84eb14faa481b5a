"""Compare a checkpoint's tensors with a network's, and say what does not fit and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ge_det.words import counted, counted_are

from .causes import foreign_names, likely_cause


def fits(state: Mapping[str, Tensor], key: str, value: Tensor) -> bool:
    """Whether ``state`` has ``key`` in the shape of ``value``."""
    # Checkpoints of torch < 0.4.1 lack the counters of batch normalisation.
    if key.endswith('num_batches_tracked') and key not in state:
        return True
    return key in state and state[key].shape == value.shape


def covers(state: Mapping[str, Tensor], module: nn.Module, prefix: str) -> bool:
    """Whether ``state`` has every tensor of ``module`` in its shape, and there is any."""
    own = {prefix + key: value for key, value in module.state_dict().items()}
    return bool(own) and all(fits(state, key, value) for key, value in own.items())


@dataclass(frozen=True)
class Difference:
    """How a checkpoint's tensors differ from those a network wants.

    Attributes:
        missing (list[str]): Names it lacks.
        misshapen (dict[str, str]): Names it has in another shape, and both shapes.
        mistyped (list[str]): Names under which it has no floating point, and the network has.
        left_over (list[str]): Names that the network has not.
    """

    missing: list[str]
    misshapen: dict[str, str]
    mistyped: list[str]
    left_over: list[str]

    def only(self, predicate: Callable[[str], bool]) -> Difference:
        """The same for the names that ``predicate`` is true of."""
        return Difference(
            missing=list(filter(predicate, self.missing)),
            misshapen={k: v for k, v in self.misshapen.items() if predicate(k)},
            mistyped=list(filter(predicate, self.mistyped)),
            left_over=list(filter(predicate, self.left_over)),
        )

    def clauses(self, cause: str | None = None) -> list[str]:
        """What does not fit, a clause each, with the cause where it is known."""
        found = (
            (self.missing, 'missing', 'an incomplete file, or another kind of network?'),
            (list(self.misshapen), 'of another shape', 'another depth or base_channels?'),
            (self.mistyped, 'no floating point', 'a quantized network?'),
            (self.left_over, 'left over', 'gates of another kind or size?'),
        )
        return [
            f'{counted_are(len(names), "tensor")} {what}, the first {names[0]!r} '
            + (f'{self.misshapen[names[0]]} ' if what == 'of another shape' else '')
            + f'({cause or guess})'
            for names, what, guess in found
            if names
        ]


def compare(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Difference:
    """Compare two state dicts, of which the second may be on the meta device."""
    unfit = [key for key, value in wanted.items() if not fits(state, key, value)]
    return Difference(
        missing=[key for key in unfit if key not in state],
        misshapen={
            key: f'{tuple(state[key].shape)} instead of {tuple(wanted[key].shape)}'
            for key in unfit
            if key in state
        },
        mistyped=[
            key
            for key, value in wanted.items()
            if key in state and value.is_floating_point() and not state[key].is_floating_point()
        ],
        left_over=[key for key in state if key not in wanted],
    )


def find_problems(
    found: Difference,
    state: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    stages: Sequence[str],
) -> list[str]:
    """What does not fit a backbone, one clause each with the likely cause.

    Args:
        found (Difference): Of the two below.
        state (Mapping[str, Tensor]): The checkpoint's tensors.
        wanted (Mapping[str, Tensor]): The backbone's tensors that it should fill.
        stages (Sequence[str]): Names of the residual stages, such as ``'layer1'``; elsewhere, a
            file may hold more than the backbone.

    Returns:
        list[str]: Empty if everything fits.
    """
    if not set(state) & set(wanted):
        first = f' (the first is {next(iter(state))!r})' if state else ''
        names = counted(len(state), 'name')
        return [f"none of its {names} is a ResNet's{first}; {foreign_names(state)}"]
    in_stages = tuple(f'{stage}.' for stage in stages)
    of_trunk = found.only(lambda key: key in wanted or key.startswith(in_stages))
    return of_trunk.clauses(likely_cause(state, wanted))
