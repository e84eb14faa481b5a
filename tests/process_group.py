"""Work of several processes that talk to each other by gloo, as several GPUs do by NCCL."""

import gc

import torch
import torch.distributed as dist


def in_processes(count, compute, store, *arguments):
    """Run ``compute(rank, *arguments)`` in so many processes, which meet at a new file."""
    torch.multiprocessing.spawn(_member, (count, compute, store, *arguments), nprocs=count)


def _member(rank, count, compute, store, *arguments):
    torch.set_num_threads(1)
    dist.init_process_group('gloo', f'file://{store}', rank=rank, world_size=count)
    compute(rank, *arguments)
    # A DistributedDataParallel must not be the last to hold the group: with Python's lock held it
    # would wait for a thread of gloo's, which may wait for that lock.
    gc.collect()
    dist.destroy_process_group()
