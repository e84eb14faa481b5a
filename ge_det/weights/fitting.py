"""See whether a checkpoint fits a backbone, without changing anything."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from torch import Tensor, nn

from ge_det.blocks.gated_backbone import GatedBackbone, as_gated
from ge_det.errors import CheckpointError

from .backbone_weights import BackboneWeights, read_backbone_weights
from .matching import Difference, compare, find_problems
from .sources import guess_source

LENIENT = 'strict=False beside the checkpoint'
"""How a config and a call take what fits; a command has an option for it."""


@dataclass(frozen=True)
class Fit:
    """A checkpoint beside a backbone.

    Attributes:
        weights (BackboneWeights): What the file holds.
        gates (dict[str, nn.Module]): Gates of the backbone by name.
        filled (list[str]): Those the file fills.
        fresh (list[str]): Those it does not fill.
        difference (Difference): From the tensors that the file should have.
        matched (dict[str, Tensor]): The file's tensors for them.
        problems (list[str]): What does not fit, a clause each.
    """

    weights: BackboneWeights
    gates: dict[str, nn.Module]
    filled: list[str]
    fresh: list[str]
    difference: Difference
    matched: dict[str, Tensor]
    problems: list[str]


def fit_weights(
    backbone: nn.Module,
    checkpoint: str,
    source: str | None = None,
    strict: bool = True,
    key: str | None = None,
) -> Fit:
    """Read a checkpoint and compare it with a backbone, which may be on the meta device.

    Args:
        backbone (nn.Module): AttentionResNet, or any network that carries the blocks.
        checkpoint (str): Path, http(s) URL, or model name of the source.
        source (str, optional): Whose names the file has. Defaults to None: told by the names.
        strict (bool): Raise if the trunk does not fit. Defaults to True.
        key (str, optional): Which of several networks in the file. Defaults to None.

    Returns:
        Fit: What the file has for the backbone and what it has not.

    Raises:
        CheckpointError: If the file cannot be read, if nothing in it fits, or with ``strict`` if
            the trunk does not fit.
        ValueError: If there is no such source.
    """
    weights = read_backbone_weights(checkpoint, source, key)
    network = as_gated(backbone)
    state, gates = weights.state, network.gates()
    filled = [name for name, gate in gates.items() if weights.fills(name, gate)]
    fresh = [name for name in gates if name not in filled]
    outside = tuple(f'{name}.' for name in fresh)
    own = backbone.state_dict()
    wanted = {k: v for k, v in own.items() if not k.startswith(outside)}
    difference = compare(state, wanted)
    problems = find_problems(difference, state, wanted, network.stage_names())
    problems += _other_source(own, weights) + _other_network(network, weights)
    problems += weights.gates.lost(gates)
    nothing_fits = not set(state) & set(wanted)
    if problems and (strict or nothing_fits):
        hint = '' if nothing_fits else f'. {LENIENT} loads what fits'
        raise CheckpointError(
            f'{checkpoint} does not fit this backbone: {"; ".join(problems)}{hint}'
        )
    unfit = {*difference.misshapen, *difference.mistyped}
    matched = {k: state[k] for k in wanted if k in state and k not in unfit}
    return Fit(weights, gates, filled, fresh, difference, matched, problems)


def _other_source(own: Collection[str], weights: BackboneWeights) -> list[str]:
    """A clause that names the source the file seems to be from, where that explains a misfit."""
    guess = guess_source(weights.state)
    gained = sum(key in own for key in guess.rename(weights.state)) - sum(
        key in own for key in weights.state
    )
    return [f"its names are those of source='{guess.name}'"] if gained > 0 else []


def _other_network(network: GatedBackbone, weights: BackboneWeights) -> list[str]:
    style = weights.network.get('style')
    clauses = list(weights.objections)
    # Basic units have one place for their stride only.
    has_choice = 'layer1.0.conv3.weight' in weights.state
    if has_choice and style is not None and network.network().get('style', style) != style:
        clauses.append(
            f"these weights have their strides elsewhere: the backbone needs style='{style}'"
        )
    return clauses
