"""Memory of a pass through a network: what is kept for the backward pass, and the peak on a GPU."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar('T')


def kept_bytes(forward: Callable[[], T], without: Iterable[Tensor] = ()) -> tuple[int, T]:
    """Bytes that a forward pass keeps for the backward pass, and what it returned.

    Each storage counts once and whole, however many tensors are views of it. Only tensors that
    autograd saves are seen, not those that a Python function keeps by itself. Under autocast the
    half-precision copies of the weights are among them, in every network alike. Storages of the
    tensors in ``without``, such as parameters, buffers and the picture, do not count.
    """
    known = {tensor.untyped_storage().data_ptr() for tensor in without}
    # The storages themselves, so that no address is given away a second time meanwhile.
    found: dict[int, torch.UntypedStorage] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = storage
        # An output that its own operator keeps, with its graph, would keep itself for ever.
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        value = forward()
    return sum(storage.nbytes() for storage in found.values()), value


def peak_bytes(call: Callable[[], object], device: str) -> int:
    """The most that a call had allocated on a GPU beyond what was there before."""
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    call()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def free_bytes(device: str) -> int | None:
    """Memory that can still be had, by the system's own account; None where it gives none."""
    if device != 'cpu':
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    with suppress(OSError):
        text = Path('/proc/meminfo').read_text(encoding='utf-8')
        found = re.search(r'^MemAvailable:\s*(\d+)', text, re.M)
        return int(found[1]) * 1024 if found else None
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or a CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    said = ("can't allocate memory", 'not enough memory')
    return isinstance(error, RuntimeError) and any(text in str(error) for text in said)
