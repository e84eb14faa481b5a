"""GB/s of every kernel on the maps of a ResNet-50 at 800x1344, as a share of a copy's.

Bytes are those that must be moved: each map read once and written once, by each of the two passes
of the similarity gate. Times are CUDA events around single calls, the median; maps below the size
of the second-level cache, in the last stage, may beat the copy. With --warm I N the I-th of N
shares of the kernels is compiled and nothing measured. With --tune other tiles and warps are tried
on the first stage.
"""

from __future__ import annotations

import statistics
import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any, cast

import torch
from torch import Tensor

from ge_det.ops.gated_residual import triton as gated_residual
from ge_det.ops.triton_tools import tiles
from ge_det.ops.triton_tools.runtime import load
from lab.gpu.telling import arguments, guarded, seconds, tell

STAGES = [(256, 200, 336), (512, 100, 168), (1024, 50, 84), (2048, 25, 42)]
TILES_AND_WARPS = ((4096, 4), (2048, 4), (8192, 4), (8192, 8), (16384, 8), (4096, 8))
EPS = 1e-5

Call = Callable[[], object]
Part = tuple[str, Call, int]
"""Forward or backward, the kernel, and the bytes that must be moved."""


def median_seconds(call: Call, device: str, repeats: int) -> float:
    """Of one call, after one that does not count."""
    call()
    found = []
    for _ in range(repeats):
        if device == 'cpu':
            begin = time.perf_counter()
            call()
            found.append(time.perf_counter() - begin)
            continue
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda._sleep(1_000_000)  # So that launching is ahead of the GPU.
        start.record()
        call()
        end.record()
        end.synchronize()
        found.append(start.elapsed_time(end) / 1000)
    return statistics.median(found)


def cases(args: Namespace) -> Iterator[tuple[str, int, torch.dtype, bool]]:
    """Kind of kernel, stage, dtype, whether channels_last."""
    kinds, stages = ('channel', 'cells', 'full', 'window'), range(len(args.stages))
    dtypes = (torch.float16, torch.float32)[: 1 if args.tiny else 2]
    yield from product(kinds, stages, dtypes, (False, True))
    yield from (('similarity', stage, torch.float32, False) for stage in stages)


def parts(args: Namespace, kind: str, stage: int, dtype: torch.dtype, last: bool) -> list[Part]:
    """The forward and the backward pass of a kernel."""
    n, (c, h, w) = args.batch, args.stages[stage]

    def random(*shape: int, dtype: torch.dtype = dtype) -> Tensor:
        x = torch.rand(shape, device=args.device).to(dtype)
        return x.contiguous(memory_format=torch.channels_last) if last and x.dim() == 4 else x

    names = dict(window='window_mean', similarity='spatial_group_enhance')
    operator = names.get(kind, 'gated_residual')
    forward, backward = load(f'{operator}.forward'), load(f'{operator}.backward')
    scale, shift = random(c, dtype=torch.float32), random(c, dtype=torch.float32)
    given: tuple[Any, ...]
    back: tuple[Any, ...]
    if kind == 'window':
        x = random(n, c // 4, h, w)
        mean = forward(x, 8)
        given, back = (x, 8), (mean, (h, w), 8, dtype)
        moved = [x.nbytes + mean.nbytes] * 2
    elif kind == 'similarity':
        s, v = random(n, 64, h * w), scale[:64]
        gate, mean, std = forward(s, v, v, EPS)
        given, back = (s, v, v, EPS), (s, gate, s, mean, std, v, EPS)
        moved = [3 * s.nbytes, 7 * s.nbytes]
    else:
        y, identity = random(n, c, h, w), random(n, c, h, w)
        cells = (c, -(-h // 8), -(-w // 8))
        gate = random(n, *dict(channel=(c, 1, 1), cells=cells, full=(min(64, c), h, w))[kind])
        gate = gate.contiguous() if kind == 'full' else gate  # As SGE's is, whatever the map is.
        given = (y, identity, gate, scale, shift)
        back = (identity, forward(*given), y, gate, scale, shift)
        moved = [3 * y.nbytes + gate.nbytes, 5 * y.nbytes + 2 * gate.nbytes]
    calls = partial(forward, *given), partial(backward, *back)
    return list(zip(('forward', 'backward'), calls, moved, strict=True))


def measure(args: Namespace) -> None:
    """Every kernel beside a copy; one line of shares a kind."""
    source = torch.rand(2**18 if args.tiny else 2**28, device=args.device)
    target = torch.empty_like(source)
    took = median_seconds(lambda: target.copy_(source), args.device, args.repeats)
    copied = 2 * source.nbytes / took
    tell('copy', f'a copy of {source.nbytes >> 20} MiB: {copied / 1e9:.0f} GB/s', rate=copied)
    table: dict[str, list[str]] = defaultdict(list)
    for kind, stage, dtype, last in cases(args):
        name = f'{kind} {str(dtype)[6:]} {"NHWC" if last else "NCHW"}'
        if seconds() > args.limit:
            tell('bandwidth', f'no time for {name} on', ok=False)
            break
        with guarded(f'{name}, stage {stage + 1}'):
            for part, call, moved in parts(args, kind, stage, dtype, last):
                took = median_seconds(call, args.device, args.repeats)
                where, rate = f'{name} {part}, stage {stage + 1}', moved / took
                tell(where, '', seconds=took, rate=rate)
                table[f'{name} {part}'].append(f'{100 * rate / copied:.0f}')
    for name, shares in table.items():
        tell(name, f'{name}: {" ".join(shares)} % of the copy in stages 1 to {len(args.stages)}')


def tune(args: Namespace) -> None:
    """Tiles and warps of the gated residual on the first stage in half precision."""
    launch, tile, launcher = tiles.launch, tiles.TILE_BYTES, cast(Any, gated_residual)
    for kind, last in product(('channel', 'cells', 'full'), (False, True)):
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for size, warps in TILES_AND_WARPS[: 2 if args.tiny else None]:
            if seconds() > args.limit:
                break
            tiles.TILE_BYTES = size
            launcher.launch = lambda *a, w=warps, **k: launch(*a, **k, num_warps=w)
            with guarded(f'tune {kind} {size}/{warps}'):
                for part, call, moved in parts(args, kind, 0, torch.float16, last):
                    rate = moved / median_seconds(call, args.device, args.repeats)
                    found[part][f'{size}/{warps}'] = round(rate / 1e9)
        tiles.TILE_BYTES, launcher.launch = tile, launch
        for part, rates in found.items():
            name = f'{kind} {"NHWC" if last else "NCHW"} {part}'
            told = ', '.join(f'{how}: {rate}' for how, rate in rates.items())
            tell(f'tune {name}', f'{name}, GB/s by tile bytes/warps: {told}', rates=rates)


def main() -> None:
    """Measure, compile or tune."""
    parser = arguments(__doc__)
    parser.add_argument('--warm', type=int, nargs=2, metavar=('I', 'N'))
    parser.add_argument('--tune', action='store_true')
    args = parser.parse_args()
    args.stages, args.batch, args.repeats = STAGES, 8, 15
    if args.tiny:
        args.stages, args.batch, args.repeats = [(64, 5, 9)], 1, 1
    if args.tune:
        tune(args)
    elif args.warm:
        args.batch = 1  # Kernels are the same for any number of images.
        for case in list(cases(args))[args.warm[0] :: args.warm[1]]:
            with guarded(f'compile {case}'):
                for _, call, _ in parts(args, *case):
                    call()
    else:
        measure(args)


if __name__ == '__main__':
    main()
