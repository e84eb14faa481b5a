"""Everything that is measured of one group of contenders."""

from __future__ import annotations

import gc
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ge_det.errors import UserError

from .contenders import Contender
from .detectors import detector_contenders, detector_inputs
from .memory import free_bytes, is_out_of_memory, kept_bytes, peak_bytes
from .networks import backbone_contenders, block_contenders, pictures, stage_map
from .settings import SMALLEST_SIDE, SpeedSettings
from .timing import ratios, time_interleaved
from .traffic import largest_operator_bytes, moved_bytes

# Beside what is kept for the backward pass: gradients, temporaries, other contenders; beside what
# the largest operator of an inference holds: the map that waits for the addition.
MEMORY_MARGIN = 1.5
PROBE_SIDE = 256

Tick = Callable[[], object]


@dataclass(frozen=True)
class Group:
    """A plain network, ours with one block and its rivals.

    So memory holds few networks at a time, and the plain one is measured beside each block anew.
    """

    block: str  # Or NEIGHBOUR.
    stage: int | None = None  # Whose map a block alone is measured on.

    @property
    def key(self) -> str:
        """Its name among the results."""
        return self.block if self.stage is None else f'{self.block} layer{self.stage + 1}'


def measure_group(
    settings: SpeedSettings, group: Group, tick: Tick = lambda: None
) -> dict[str, Any]:
    """Build and measure one group; ``tick`` is called after every round.

    Returns:
        dict: Ready for JSON: ``seconds`` of every round, ``ratios`` to the plain network, in
        training ``kept_bytes``, of backbones on a CPU ``moved_bytes``, on a GPU ``peak_bytes``,
        ``difference`` of each contender that is to compute the same from the first such one
        (relative to the largest output), ``notes``.

    Raises:
        UserError: If memory does not suffice, or a detector's config has no ResNet.
    """
    try:
        return _measure(settings, group, tick)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        size = f'size {settings.size[0]} {settings.size[1]}, batch {settings.batch}'
        message = f'not enough memory for {group.key} at {size}: give a smaller --size or --batch'
        raise UserError(message) from error


def _measure(settings: SpeedSettings, group: Group, tick: Tick) -> dict[str, Any]:
    gc.collect()  # Networks of the group before.
    if settings.device != 'cpu':
        torch.cuda.empty_cache()
    notes: list[str] = []
    contenders, inputs = _build(settings, group, notes)
    result: dict[str, Any] = {**asdict(group), 'notes': notes}
    if settings.train:
        result['kept_bytes'] = {c.name: _kept(c, inputs) for c in contenders if c.trains}
    if settings.mode == 'backbones' and settings.device == 'cpu':
        counted = [c for c in contenders if c.forward is None]  # Not what runs outside torch.
        result['moved_bytes'] = {c.name: moved_bytes(partial(c.step, inputs)) for c in counted}
    if group.stage is not None:
        result['map_bytes'] = inputs.nbytes
    result['difference'] = _differences(contenders, inputs)
    if settings.device != 'cpu':
        result['peak_bytes'] = {c.name: _peak(c, inputs) for c in contenders}
    calls = {c.name: partial(c.step, inputs) for c in contenders}
    timings = time_interleaved(calls, settings.rounds, settings.device, tick)
    result['seconds'], result['repeats'] = timings.seconds, timings.repeats
    result['ratios'] = {k: v._asdict() for k, v in ratios(timings.seconds).items()}
    return result


def _build(settings: SpeedSettings, group: Group, notes: list[str]) -> tuple[list[Contender], Any]:
    """The contenders and their inputs."""
    if group.stage is not None:
        contenders = block_contenders(settings, group.block, group.stage, notes)
        return contenders, stage_map(settings, group.stage)
    of_detectors = settings.mode == 'detectors'
    build = detector_contenders if of_detectors else backbone_contenders
    contenders = build(settings, group.block, notes)
    _check_memory(settings, contenders[0])
    for contender in contenders:
        if contender.name == 'ours':
            notes.append(_plan(group, contender))
    if of_detectors:
        return contenders, detector_inputs(settings, settings.size, contenders[0].network)
    return contenders, pictures(settings, settings.size)


def _check_memory(settings: SpeedSettings, plain: Contender) -> None:
    """Refuse what cannot fit, since Linux would end the process without a word.

    What the plain backbone keeps, or in inference holds at once, grows with the area, so a small
    picture tells.
    """
    shrink = PROBE_SIDE / max(settings.size)
    free = free_bytes(settings.device)
    if shrink >= 1 or free is None:
        return
    height, width = (max(SMALLEST_SIDE, round(side * shrink)) for side in settings.size)
    probe = Contender('probe', plain.backbone, settings)
    small = pictures(settings, (height, width))
    step = partial(probe.step, small)
    held = _kept(probe, small) if settings.train else largest_operator_bytes(step)
    needed = MEMORY_MARGIN * held * math.prod(settings.size) / (height * width)
    if needed > free:
        raise MemoryError(f'{needed:.3g} bytes needed, {free:.3g} free')


def _plan(group: Group, ours: Contender) -> str:
    """How ours runs its units."""
    with torch.set_grad_enabled(ours.settings.train):
        counts = Counter((unit.runs, unit.why) for unit in ours.backbone.execution_plan())
    told = '; '.join(f'{n} {runs} ({why})' for (runs, why), n in counts.items())
    return f'{group.key}, units of ours: {told}'


def _kept(contender: Contender, inputs: Any) -> int:
    without = [*contender.network.parameters(), *contender.network.buffers()]
    if contender.settings.mode != 'blocks':  # There, the map is what a gate keeps.
        without.append(inputs if isinstance(inputs, Tensor) else inputs['inputs'])
    return kept_bytes(partial(contender.outputs, inputs), without)[0]


def _peak(contender: Contender, inputs: Any) -> int:
    contender.clear_gradients(inputs)
    peak = peak_bytes(partial(contender.step, inputs), contender.settings.device)
    contender.clear_gradients(inputs)
    return peak


@torch.no_grad()
def _differences(contenders: Sequence[Contender], inputs: Any) -> dict[str, float]:
    """Largest difference of outputs from those of the first that computes the same function."""
    alike = [contender for contender in contenders if contender.same_function]
    if len(alike) < 2:
        return {}
    expected = [output.detach().float() for output in alike[0].outputs(inputs)]
    found = {}
    for contender in alike[1:]:
        pairs = zip(contender.outputs(inputs), expected, strict=True)
        found[contender.name] = max(
            float((a.detach().float() - b).abs().max() / b.abs().max()) for a, b in pairs
        )
    return found
