"""torch.compile of stem and first stage, and a CUDA graph of the whole backbone, with one block."""

from __future__ import annotations

import time
from argparse import Namespace
from typing import Any

import torch
from torch import Tensor

from lab.gpu.networks import MODES, build, pictures, run, variant
from lab.gpu.telling import arguments, distance, guarded, seconds, tell

# Of outputs, and of gradients. These jump where rounding moves a position across a ReLU's 0: on a
# CPU those of float32 are 1e-3 from those of the same normalisations by another formula, and those
# of float16 7e-2 from those of float32.
LARGEST_ERROR = {'fp32': (1e-4, 1e-2), 'fp16': (3e-2, 0.3)}


def compare(network: Any, x: Tensor, mode: str, precision: str, args: Namespace) -> None:
    """Equal to eager at two sizes, in one graph with our operators in it."""
    name = f'{args.block} compiled, {mode}, {precision}'
    train = MODES[mode][0]
    own = variant(network, mode, fused=True)
    smaller = x[:, :, : x.shape[2] * 3 // 4, : x.shape[3] // 2].contiguous()
    sizes = [x] if args.tiny else [x, smaller]
    expected = [run(own, picture, precision, train) for picture in sizes]
    operators: list[str] = []

    def backend(module: Any, inputs: Any) -> Any:
        targets = map(str, (node.target for node in module.graph.nodes))
        operators.extend(target for target in targets if 'ge_det' in target)
        name = 'aot_eager' if args.tiny else 'inductor'
        return torch._dynamo.lookup_backend(name)(module, inputs)

    torch._dynamo.reset()
    with guarded(name):
        compiled = torch.compile(own, backend=backend, fullgraph=True)
        errors, took = [], []
        for picture, wanted in zip(sizes, expected, strict=True):
            begin = time.perf_counter()
            found = run(compiled, picture, precision, train)
            took.append(time.perf_counter() - begin)
            errors += [distance(a, b) for a, b in zip(found, wanted, strict=True)]
        kinds = LARGEST_ERROR[precision][: 1 + train]
        small = [max(errors[i :: len(kinds)]) < kind for i, kind in enumerate(kinds)]
        ok = all(small) and bool(operators)
        line = (
            f'{name}: error {" ".join(f"{e:.1e}" for e in errors)}, {len(operators)} operators of '
            'ours in the graphs, '
            f'seconds for a size, and another: {" ".join(f"{s:.0f}" for s in took)}'
        )
        tell(name, line, ok, errors=errors, seconds=took, operators=sorted(set(operators)))


def graph(network: Any, x: Tensor, args: Namespace) -> None:
    """Capture, replay with other pixels; what eager gives is expected."""
    name = f'{args.block} in a CUDA graph'
    own = variant(network, 'eval', fused=True)
    with guarded(name), torch.no_grad(), torch.autocast('cuda', torch.float16):
        place = x.clone()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                own(place)
        torch.cuda.current_stream().wait_stream(stream)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            outputs = own(place)
        place.copy_(x.flip(3))
        captured.replay()
        torch.cuda.synchronize()
        error = distance(outputs, own(x.flip(3)))
        tell(name, f'{name}: error {error:.1e}', error < 1e-3, error=error)


def main() -> None:
    """One block."""
    parser = arguments(__doc__)
    parser.add_argument('--block', required=True)
    args = parser.parse_args()
    args.base, args.size = (8, (64, 96)) if args.tiny else (64, (192, 256))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    x = pictures(4, args)
    if args.device == 'cpu':
        tell('graph', 'a CUDA graph needs a GPU, not checked')
    else:
        graph(build(args.block, args), x, args)
    network = build(args.block, args, stages=1)
    cases = [('train', 'fp32'), ('train', 'fp16'), ('eval', 'fp32')]
    for mode, precision in cases[:1] if args.tiny else cases:
        if seconds() > args.limit:
            name = f'{args.block} compiled, {mode}, {precision}'
            tell(name, f'{name}: no time', ok=False)
            continue
        compare(network, x, mode, precision, args)


if __name__ == '__main__':
    main()
