"""The fused backbone with one block against float64 formulas, beside its own modules.

The reference is the network with the blocks as published, in float64, without a kernel of ours. The
measure is ||out - ref|| / ||ref||, of the outputs, of all gradients and of the running statistics.
Fused passes if it is no more than FACTOR times as far from the reference as the modules one after
the other are with the same weights, plus FLOOR.
"""

from __future__ import annotations

import copy
from argparse import Namespace
from contextlib import nullcontext
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from ge_det.backbones import AttentionResNet
from ge_det.catalogue import attention_config, stage_channels
from ge_det.execution import fused
from lab.as_published import replace_blocks
from lab.gpu.telling import arguments, distance, guarded, seconds, tell
from lab.speed.contenders import randomise

FACTOR = 2.0
FLOOR = {'fp32': 2e-6, 'fp16': 2e-3, 'bf16': 1e-2}
# A reference that is another function would be as far from both.
CEILING = {'fp32': 3e-3, 'fp16': 0.5, 'bf16': 0.9}
# Gradients jump where rounding moves a position across a ReLU's 0. In half precision so many do
# that both networks are equally far; in float32 it is chance: on a CPU both are 1e-3 to 5e-3 from
# the reference, the modules between 0.8 and 2.3 times as far as fused.
FLOOR_OF_GRADIENTS, CEILING_OF_GRADIENTS = 5e-3, 5e-2
DTYPES = {'fp16': torch.float16, 'bf16': torch.bfloat16}
# Whether it trains, and on the statistics of the batch.
MODES = {
    'eval': (False, False),
    'train': (True, False),
    'train norms': (True, True),
}


def variant(network: Any, mode: str, fused: bool, last: bool = False) -> Any:
    """A copy in a mode, fused or not, channels_last or not."""
    own = copy.deepcopy(network)
    own = own.to(memory_format=torch.channels_last) if last else own
    train, batch = MODES[mode]
    own.fused, own.norm_eval, own.gate_norm_eval = fused, not batch, not batch
    return own.train(train)


def published(network: Any, mode: str) -> Any:
    """The reference: a copy with the blocks as published, in float64."""
    reference = variant(network, mode, fused=False).double()
    replace_blocks(reference)
    return reference


def limit(modules: float, precision: str, of_gradients: bool = False) -> float:
    """How far from the reference the fused network may be, where the modules are that far."""
    if of_gradients and precision == 'fp32':
        return min(FACTOR * modules + FLOOR_OF_GRADIENTS, CEILING_OF_GRADIENTS)
    return min(FACTOR * modules + FLOOR[precision], CEILING[precision])


def build(block: str, args: Namespace, stages: int = 4) -> AttentionResNet:
    """Random weights, and statistics near those of random pictures, else fp16 overflows."""
    attention = attention_config(block, stage_channels(50, args.base)[0])
    shape: dict[str, Any] = dict(num_stages=stages, out_indices=tuple(range(stages)))
    shape |= dict(strides=(1, 2, 2, 2)[:stages], dilations=(1,) * stages)
    with torch.device(args.device):
        network = AttentionResNet(50, attention, base_channels=args.base, fused=False, **shape)
    randomise(network, 1)
    twin = variant(network, 'train norms', fused=False)
    norms: list[Any] = [module for module in twin.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        twin(pictures(8, args))
    for norm in norms:
        norm.running_var *= 1.2
        norm.running_mean += 0.02
    network.load_state_dict(twin.state_dict())
    return network


def pictures(count: int, args: Namespace) -> Tensor:
    """Each of another contrast and colour: averages of alike ones would differ by rounding only."""
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn((count, 3, *args.size), generator=generator)
    contrast = torch.rand(count, 1, 1, 1, generator=generator)
    colour = torch.randn(count, 3, 1, 1, generator=generator)
    return (noise * (0.5 + contrast) + 0.5 * colour).to(args.device)


def run(network: Any, x: Tensor, precision: str, train: bool) -> list[list[Tensor]]:
    """Outputs and, in training, gradients; under autocast for half precision."""
    x = x.clone().requires_grad_(train)
    half = DTYPES.get(precision)
    with torch.set_grad_enabled(train):
        with torch.autocast(x.device.type, half) if half else nullcontext():
            outputs = network(x)
        if not train:
            return [outputs]
        generator = torch.Generator().manual_seed(5)
        upstream = [torch.randn(o.shape, generator=generator) / 8 for o in outputs]
        network.zero_grad()
        torch.autograd.backward(outputs, [u.to(o) for u, o in zip(upstream, outputs, strict=True)])
    zero = torch.zeros(1, device=x.device)
    gradients = [t.grad if t.grad is not None else zero for t in (x, *network.parameters())]
    return [[o.detach() for o in outputs], gradients]


def compare(network: Any, x: Tensor, mode: str, args: Namespace) -> None:
    """All precisions and memory orders of a mode."""
    train, batch = MODES[mode]
    reference = published(network, mode)
    expected = run(reference, x.double(), 'fp64', train)
    statistics = list(reference.buffers())
    settings = list(product(FLOOR, (False, True)))
    for precision, last in (
        [('fp32', True), ('bf16', False)][: 2 - batch] if args.tiny else settings
    ):
        order = torch.channels_last if last else torch.contiguous_format
        name = f'{args.block} {mode} {precision} {str(order)[6:]}'
        if seconds() > args.limit:
            tell(name, f'{name}: no time', ok=False)
            continue
        with guarded(name):
            errors = []
            for on in (True, False):
                own = variant(network, mode, on, last)
                found = run(own, x.contiguous(memory_format=order), precision, train)
                errors.append([distance(a, b) for a, b in zip(found, expected, strict=True)])
                if batch and precision == 'fp32':
                    errors[-1].append(distance(list(own.buffers()), statistics))
            pairs = list(zip(*errors, strict=True))
            ok = all(
                error <= limit(modules, precision, of_gradients=index == 1)
                for index, (error, modules) in enumerate(pairs)
            )
            told = ' '.join(f'{e:.1e}/{m:.1e}' for e, m in pairs)
            line = f'{name}, error fused/modules of outputs, gradients, statistics: {told}'
            tell(name, line, ok, shown=False, errors=pairs)


def extras(network: Any, x: Tensor, args: Namespace) -> None:
    """On a large picture, with a NaN where the modules have one, without waiting for the GPU."""
    name = f'{args.block} on a large picture'
    size = (28, 36) if args.tiny else (800, 1333)
    large = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(3)).to(args.device)
    spoiled = x.clone()
    spoiled[0, 0, 5, 5] = float('nan')
    ours, modules = (variant(network, 'eval', on) for on in (True, False))
    with guarded(name):
        expected = run(published(network, 'eval'), large.double(), 'fp64', False)[0]
        found = [run(own, large, 'bf16', False)[0] for own in (ours, modules)]
        error, theirs = (distance(outputs, expected) for outputs in found)
        line = f'{name}, error fused/modules: {error:.1e}/{theirs:.1e}'
        tell(name, line, error <= limit(theirs, 'bf16'), errors=[error, theirs])
    name = f'{args.block} with a NaN'
    with guarded(name):
        a, b = (run(own, spoiled, 'fp32', False)[0] for own in (ours, modules))
        same = all(torch.equal(i.isnan(), j.isnan()) for i, j in zip(a, b, strict=True))
        tell(name, f'{name}: NaN elsewhere than in the modules', same, shown=False)
    name = f'{args.block} without waiting for the GPU'
    if args.device == 'cpu':
        tell(name, f'{name}: needs a GPU, not checked')
        return
    own = variant(network, 'train', fused=True)
    torch.cuda.set_sync_debug_mode('error')
    with guarded(name), torch.autocast('cuda', torch.float16):
        outputs = own(x)
        torch.autograd.backward(outputs, [torch.ones_like(o) for o in outputs])
    torch.cuda.set_sync_debug_mode('default')


def main() -> None:
    """One block."""
    parser = arguments(__doc__)
    parser.add_argument('--block', required=True)
    args = parser.parse_args()
    args.base, args.size, stages = (8, (28, 36), 1) if args.tiny else (64, (186, 250), 4)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    if args.tiny:
        fused.POSITIONS_PER_COLUMN = 10**9  # As on a GPU, where nothing is folded into weights.
    network = build(args.block, args, stages)
    x = pictures(2 if args.tiny else 4, args)
    for mode in list(MODES)[args.tiny :]:
        compare(network, x, mode, args)
    extras(network, x, args)
    plan = {unit.runs for unit in variant(network, 'eval', True).execution_plan()}
    line = f'{args.block}: all units run {plan}; {seconds():.0f} s'
    tell(f'{args.block} plan', line, plan == {'fused'})


if __name__ == '__main__':
    main()
