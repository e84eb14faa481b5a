"""How long a training step of each network of a matrix takes on this machine, kept in a file."""

from __future__ import annotations

import copy
import gc
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from ge_det.errors import UserError
from ge_det.files import to_json, write_whole
from ge_det.flops.config_network import default_shape
from lab.speed.contenders import place as move
from lab.speed.detectors import DetectorPass, detector_inputs, give_weights
from lab.speed.memory import is_out_of_memory
from lab.speed.settings import SpeedSettings, environment
from lab.speed.timing import time_interleaved

from .matrix import Cell
from .price import network_name
from .workplace import Workplace


@dataclass
class StepTimes:
    """Seconds of a training step, and where they were measured.

    Attributes:
        file (Path): Where they are kept.
        machine (dict): Device, threads and versions; empty while nothing was measured.
        seconds (dict): By :func:`~.price.network_name`.
    """

    file: Path
    machine: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, place: Workplace) -> StepTimes:
        """Those measured for a matrix so far.

        Raises:
            ValueError: If the file holds something else; one line.
        """
        times = cls(place.work_dir / 'step_times.json')
        if times.file.is_file():
            try:
                content = json.loads(times.file.read_text(encoding='utf-8'))
                times.machine, times.seconds = dict(content['machine']), dict(content['seconds'])
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f'{times.file}: no step times can be read; delete it') from error
        return times

    def add(self, network: str, seconds: float) -> None:
        """Keep the time of a network; an interruption leaves the file whole."""
        self.seconds[network] = seconds
        content = dict(machine=self.machine, seconds=self.seconds)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.file, to_json(content))


def measure_steps(place: Workplace, steps: int, threads: int = 1) -> dict[str, float]:
    """Time training steps of every detector that is left and was not timed before.

    A step is forward pass, backward pass and optimiser step on random pictures of the size of the
    config's test pipeline, in batches as in training, in one process; on the GPU if there is one.
    Sets torch's number of threads. Times are kept after each network in ``step_times.json`` of the
    work dir; delete it when configs have changed.

    Args:
        place (Workplace): The matrix and its folders.
        steps (int): Steps of each network, of which the median counts, after two that do not.
        threads (int): On a CPU. Defaults to 1.

    Returns:
        dict[str, float]: Seconds by :func:`~.price.network_name`, of all networks in the file. A
        network that does not fit into memory is told of and left out.

    Raises:
        ValueError: If a config cannot be measured, or the file is of another machine.
    """
    times = StepTimes.of(place)
    todo: dict[str, Cell] = {}
    for cell in place.unfinished():
        network = network_name(cell.key)
        if not cell.is_classifier and network not in times.seconds:
            todo.setdefault(network, cell)
    torch.set_num_threads(threads)
    for index, (network, cell) in enumerate(todo.items()):
        config = place.config(cell)
        settings = _settings(config, cell.config, steps, threads)
        _check_machine(times, dict(environment(settings), threads=threads))
        try:
            seconds = _time_steps(config, settings)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            told = 'not enough memory on this machine'
        else:
            times.add(network, seconds)
            told = f'{seconds:.3g} s a step'
        print(f'{network} ({index + 1} of {len(todo)}): {told}', file=sys.stderr, flush=True)
    return times.seconds


def _check_machine(times: StepTimes, machine: dict[str, Any]) -> None:
    if times.seconds and times.machine != machine:
        other = ', '.join(f'{key} {value}' for key, value in times.machine.items())
        raise ValueError(
            f'{times.file}: measured elsewhere or with other versions ({other}); delete it to '
            'measure again here'
        )
    times.machine = machine


def _settings(config: Config, file: Path, steps: int, threads: int) -> SpeedSettings:
    size = default_shape(config)
    if size is None:
        raise UserError(f'{file}: its test pipeline says no image size; add a Resize')
    return SpeedSettings(
        mode='detectors',
        train=True,
        size=size,
        batch=config.train_dataloader.batch_size,
        depth=config.model.backbone.depth,
        rounds=steps,
        threads=threads,
        device='cuda' if torch.cuda.is_available() else 'cpu',
        config=str(file),
    )


def _time_steps(config: Config, settings: SpeedSettings) -> float:
    gc.collect()  # The network before.
    if settings.device != 'cpu':
        torch.cuda.empty_cache()
    model = _build(copy.deepcopy(config), settings)
    optimiser = build_optim_wrapper(model, config.optim_wrapper)
    for group in optimiser.optimizer.param_groups:
        group['lr'] = 0.0  # The same work, and no step can spoil the next one.
    data = detector_inputs(settings, settings.size, model)
    losses = DetectorPass(model, settings.train)

    def step() -> None:
        with optimiser.optim_context(model):
            loss = losses(data)[0]
        optimiser.update_params(loss)

    return median(
        time_interleaved({'step': step}, settings.rounds, settings.device).seconds['step']
    )


def _build(config: Config, settings: SpeedSettings) -> Any:
    """The detector of a config as one process trains it, with weights that need no download."""
    config.model.backbone.pop('pretrained', None)
    config.model.backbone.init_cfg = config.model.init_cfg = None
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = revert_sync_batchnorm(MODELS.build(config.model))
    give_weights(model)
    return move(model, settings)
