"""The speed benchmark: builds one group of contenders after the other and measures it."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm  # type: ignore[import-untyped]

from .backbones import backbone_contenders, pictures
from .blocks import block_contenders, stage_map
from .contenders import Contender
from .detectors import detector_contenders, detector_inputs
from .groups import Group, plan_groups
from .memory import free_bytes, is_out_of_memory, kept_bytes, peak_bytes
from .results import SpeedResults
from .settings import SMALLEST_SIDE, BenchmarkError, SpeedSettings
from .timing import WARM_UP_ROUNDS, copy_bandwidth, ratios, time_interleaved

Tick = Callable[[int], None]

# Of what is kept for the backward pass: gradients, the pass's own temporaries, other contenders.
MEMORY_MARGIN = 1.5

PROBE_SIDE = 256


def run_benchmark(
    settings: SpeedSettings, blocks: Sequence[str], growth: bool, results: SpeedResults
) -> None:
    """Measure all groups that the results lack, with progress on stderr.

    Sets torch's number of threads.

    Args:
        settings (SpeedSettings): Of the run.
        blocks (Sequence[str]): Names of blocks.
        growth (bool): Measure ours and the plain network at further sizes too.
        results (SpeedResults): Filled group by group.

    Raises:
        BenchmarkError: If something keeps it from running; the message is one line.
    """
    torch.set_num_threads(settings.threads)
    if torch.device(settings.device).index is not None:
        torch.cuda.set_device(settings.device)
    if results.bandwidth is None:
        results.bandwidth = copy_bandwidth(settings.device)
        results.save()
    groups = plan_groups(settings, blocks, growth)
    missing = [group for group in groups if group.key not in results.groups]
    rounds = WARM_UP_ROUNDS + settings.rounds
    # disable=None: only a terminal gets the bar; a log gets the lines.
    with tqdm(total=rounds * len(missing), unit='round', file=sys.stderr, disable=None) as bar:
        for index, group in enumerate(missing):
            bar.set_description(group.key)

            def tick(done: int, before: int = index * rounds) -> None:
                bar.update(before + done - bar.n)

            result = measure_group(settings, group, tick)
            results.add(group.key, result)
            text = ', '.join(f'{k} {v["median"]:.3f}' for k, v in result['ratios'].items())
            bar.write(f'{group.key} ({index + 1} of {len(missing)}): {text}', file=sys.stderr)


def measure_group(
    settings: SpeedSettings, group: Group, tick: Tick = lambda done: None
) -> dict[str, Any]:
    """Build and measure one group.

    Args:
        settings (SpeedSettings): Of the run.
        group (Group): Which.
        tick (Callable[[int], None]): Told the number of finished rounds, warm-up included.

    Returns:
        dict: Ready for JSON: ``seconds`` of every round, ``ratios`` to the plain network, in
        training ``kept_bytes``, on a GPU ``peak_bytes``, ``difference`` of each contender that is
        to compute the same from the first such one (relative to the largest output), ``plan`` of
        ours, ``notes``.

    Raises:
        BenchmarkError: If memory does not suffice, or a detector's config has no ResNet.
    """
    try:
        return _measure(settings, group, tick)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        height, width = group.size
        raise BenchmarkError(
            f'not enough memory for {group.key} at size {height} {width}, batch {settings.batch}: '
            'give a smaller --size or --batch'
        ) from error


def _measure(settings: SpeedSettings, group: Group, tick: Tick) -> dict[str, Any]:
    gc.collect()  # Networks of the group before.
    if settings.device != 'cpu':
        torch.cuda.empty_cache()
    notes: list[str] = []
    contenders = _build(settings, group, notes)
    if settings.train:
        _check_memory(settings, group, contenders[0])
    inputs = _inputs(settings, group, contenders[0])
    result: dict[str, Any] = {**asdict(group), 'size': list(group.size), 'notes': notes}
    if settings.train:
        result['kept_bytes'] = {c.name: _kept(c, inputs, settings) for c in contenders if c.trains}
    if settings.mode == 'blocks':
        result['map_bytes'] = inputs.nbytes
    result['difference'] = _differences(contenders, inputs)
    if settings.device != 'cpu':
        result['peak_bytes'] = {c.name: _peak(c, inputs) for c in contenders}
    calls = {c.name: _step(c, inputs) for c in contenders}
    timings = time_interleaved(calls, settings.rounds, settings.device, tick)
    result['seconds'], result['repeats'] = timings.seconds, timings.repeats
    result['ratios'] = {k: v._asdict() for k, v in ratios(timings.seconds).items()}
    result['plan'] = _plan(contenders, settings)
    return result


def _build(settings: SpeedSettings, group: Group, notes: list[str]) -> list[Contender]:
    if group.stage is not None:
        return block_contenders(settings, group.block, group.stage, group.only_ours, notes)
    if settings.mode == 'backbones':
        return backbone_contenders(settings, group.block, group.only_ours, notes)
    return detector_contenders(settings, group.block, group.only_ours)


def _inputs(settings: SpeedSettings, group: Group, contender: Contender) -> Any:
    if group.stage is not None:
        return stage_map(settings, group.stage, group.size)
    if settings.mode == 'backbones':
        return pictures(settings, group.size)
    return detector_inputs(settings, group.size, contender.network)


def _check_memory(settings: SpeedSettings, group: Group, plain: Contender) -> None:
    """Refuse what cannot fit, since Linux would end the process without a word.

    What the plain backbone keeps grows with the area, so a small picture tells.
    """
    shrink = PROBE_SIDE / max(group.size)
    free = free_bytes(settings.device)
    if group.stage is not None or shrink >= 1 or free is None:
        return
    small = [max(SMALLEST_SIDE, round(side * shrink)) for side in group.size]
    network: nn.Module = getattr(plain.network, 'backbone', plain.network)
    probe = Contender('probe', network, network, settings)
    kept = _kept(probe, pictures(settings, (small[0], small[1])), settings)
    needed = MEMORY_MARGIN * kept * math.prod(group.size) / math.prod(small)
    if needed > free:
        raise MemoryError(f'{needed:.3g} bytes needed, {free:.3g} free')


def _kept(contender: Contender, inputs: Any, settings: SpeedSettings) -> int:
    without = [*contender.network.parameters(), *contender.network.buffers()]
    if settings.mode != 'blocks':  # There, the map is what a gate keeps.
        without.append(inputs if isinstance(inputs, Tensor) else inputs['inputs'])
    return kept_bytes(lambda: contender.outputs(inputs), without)[0]


def _peak(contender: Contender, inputs: Any) -> int | None:
    contender.clear_gradients(inputs)
    peak = peak_bytes(_step(contender, inputs), contender.settings.device)
    contender.clear_gradients(inputs)
    return peak


def _step(contender: Contender, inputs: Any) -> Callable[[], None]:
    return lambda: contender.step(inputs)


@torch.no_grad()
def _differences(contenders: Sequence[Contender], inputs: Any) -> dict[str, float]:
    """Largest difference of outputs from those of the first that computes the same function."""
    alike = [contender for contender in contenders if contender.same_function]
    if len(alike) < 2:
        return {}
    expected = [output.detach().float() for output in alike[0].outputs(inputs)]
    scale = [float(output.abs().max()) for output in expected]
    found = {}
    for contender in alike[1:]:
        outputs = [output.detach().float() for output in contender.outputs(inputs)]
        found[contender.name] = max(
            float((a - b).abs().max()) / size
            for a, b, size in zip(outputs, expected, scale, strict=True)
        )
    return found


def _plan(contenders: Sequence[Contender], settings: SpeedSettings) -> list[dict[str, str]]:
    """How ours ran each unit, where the backbone can tell."""
    for contender in contenders:
        network: Any = getattr(contender.network, 'backbone', contender.network)
        if contender.name == 'ours' and hasattr(network, 'execution_plan'):
            with torch.set_grad_enabled(settings.train):
                rows = network.execution_plan()
            return [{k: str(getattr(row, k)) for k in ('unit', 'runs', 'why')} for row in rows]
    return []
