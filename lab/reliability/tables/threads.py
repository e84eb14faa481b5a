"""One network in several threads, and in forks."""

from __future__ import annotations

import os
import threading
from functools import partial

import torch

from ge_det.backbones import AttentionResNet
from ge_det.catalogue import BLOCKS, attention_config, stage_channels

from ..place import Place
from ..table import Table
from ..trial import ACCEPTED, attempt, fresh

THREADS, TIMES = 4, 25
ABOUT = (
    f'A ResNet-18 with each block: {THREADS} threads call the same network {TIMES} times each on '
    'pictures of their own, in inference; then a fork does. Right are the results of one thread, '
    'bit for bit.'
)


def run(place: Place, jobs: int) -> Table:
    """Call every network at once from everywhere."""
    table = Table('Threads and forks', ABOUT, ['block', 'threads', 'fork'])
    for name in BLOCKS:
        found = attempt(partial(_differing, name), fresh(place.tries / 'threads'), 300)
        parts = found.out.split() if found.outcome == ACCEPTED else ['?', '?']
        table.count(name, *((int(part == '0'), 1) for part in parts))
        if parts != ['0', '0']:
            table.faults.append(f'{name}: {found.out} {found.outcome} {found.last_line}')
    return table


def _differing(name: str) -> int:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    channels = stage_channels(18, 16)[0]
    network = AttentionResNet(18, attention=attention_config(name, channels), base_channels=16)
    network.eval()
    pictures = [torch.randn(1, 3, 40 + 8 * index, 48) for index in range(THREADS)]
    with torch.inference_mode():
        wanted = [network(picture) for picture in pictures]
    wrong: list[int] = []

    def check(index: int) -> None:
        with torch.inference_mode():
            for _ in range(TIMES):
                maps = network(pictures[index])
                alike = all(map(torch.equal, maps, wanted[index]))
                wrong.extend([] if alike else [index])

    threads = [threading.Thread(target=check, args=(index,)) for index in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    in_threads = len(wrong)
    if (child := os.fork()) == 0:
        check(0)
        os._exit(len(wrong) > in_threads)
    _, status = os.waitpid(child, 0)
    print(in_threads, os.waitstatus_to_exitcode(status))
    return 0
